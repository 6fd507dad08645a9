/**
 * A controller, as a program: `node ask-for-device.ts HOST PORT KEY ID`. Prints where the server says that the device is.
 */
import { decodeRendezvous, encodeRendezvous, unmangleAddress } from '@tryst/protocol'
import { TcpClient } from '../transcripts/tcp-client.ts'

const ANSWER_WITHIN_MS = 6_000

const [host = '', port = '', licenceKey = '', id = ''] = process.argv.slice(2)
const client = new TcpClient('0.0.0.0', { ip: host, port: Number(port) })
await client.open()
client.send(encodeRendezvous({ punchHoleRequest: { id, licenceKey, natType: 1, version: '1.4.9' } }))
const answer = await client.takeMessage(ANSWER_WITHIN_MS)
const response = answer && decodeRendezvous(answer).punchHoleResponse
const place = response?.socketAddr?.length ? unmangleAddress(response.socketAddr) : undefined
process.stdout.write(place ? `${place.ip}:${place.port}\n` : `nowhere: ${JSON.stringify(response)}\n`)
process.exit()
