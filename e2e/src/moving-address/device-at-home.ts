/** A device behind a router, as a program: `node device-at-home.ts HOST PORT KEY`. Prints its id, then what it is. */
import { Device } from '@tryst/client'

const [host = '', port = '', key = ''] = process.argv.slice(2)
const device = new Device({ server: { host, port: Number(port), key }, natType: 'asymmetric' })
device.on('status', (status) => process.stdout.write(`${status}\n`))
process.stdout.write(`${device.id}\n`)
await device.start()
