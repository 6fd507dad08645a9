import { createSocket } from 'node:dgram'
import { get } from 'node:http'
import { isIPv6 } from 'node:net'
import {
  decodeRendezvous,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { HEALTH_DEVICE, healthSessionName } from '@tryst/service/health-session'
import { FramedConnection } from './framed-connection.ts'
import type { ServiceName } from './running-service.ts'
import type { ServiceAddress } from './service-address.ts'

/** Checks one service; resolves when it does its work, rejects with the reason when not, and lets go when aborted. */
export type Probe = (address: ServiceAddress, signal: AbortSignal) => Promise<void>

/** Known to nobody: asking for it changes nothing. */
const NOBODY = 'health'
/** A datagram may be lost even here, when the server is busy. */
const REPEAT_MS = 700

export const PROBES: Readonly<Record<ServiceName, Probe>> = { hbbs: probeIdServer, hbbr: probeRelay, api: probeApi }

/** A device's sign of life over UDP, and the NAT test over both TCP ports. */
async function probeIdServer({ host, port }: ServiceAddress, signal: AbortSignal): Promise<void> {
  await Promise.all([
    probeRegistration(host, port, signal),
    probeNatTest(host, port, signal),
    probeNatTest(host, port - 1, signal),
  ])
}

function probeRegistration(host: string, port: number, signal: AbortSignal): Promise<void> {
  const request = encodeRendezvous({ registerPeer: { id: NOBODY, serial: 0 } })
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  const send = () => socket.send(request, port, host)
  const timer = setInterval(send, REPEAT_MS)
  return new Promise<void>((resolve, reject) => {
    socket.on('error', (cause) => reject(new Error(`${host}:${port}/udp: ${cause.message}`, { cause })))
    signal.addEventListener('abort', () => reject(signal.reason))
    socket.on('message', (datagram) => {
      const { union } = decodeRendezvous(datagram)
      if (union === 'registerPeerResponse') resolve()
      else reject(new Error(`${host}:${port}/udp answered a sign of life with ${union}`))
    })
    send()
  }).finally(() => {
    clearInterval(timer)
    socket.close()
  })
}

async function probeNatTest(host: string, port: number, signal: AbortSignal): Promise<void> {
  const connection = await FramedConnection.open(host, port, signal)
  try {
    connection.send(encodeRendezvous({ testNatRequest: { serial: 0 } }))
    const seen = (await receiveAnswer(connection)).testNatResponse?.port
    if (seen !== connection.localPort)
      throw new Error(`${host}:${port}/tcp saw port ${seen}, not ${connection.localPort}`)
  } finally {
    connection.close()
  }
}

async function receiveAnswer(connection: FramedConnection): Promise<RendezvousMessage> {
  const answer = decodeRendezvous(await connection.receive())
  // A server that can encrypt says so first.
  return answer.union === 'keyExchange' ? receiveAnswer(connection) : answer
}

/** A session of two connections, and a message through it each way. */
async function probeRelay({ host, port, key, secretKey }: ServiceAddress, signal: AbortSignal): Promise<void> {
  const uuid = healthSessionName(secretKey)
  const ends = await Promise.all([FramedConnection.open(host, port, signal), FramedConnection.open(host, port, signal)])
  const [device, controller] = ends
  try {
    const request = { uuid, licenceKey: key }
    device.send(encodeRendezvous({ requestRelay: request }))
    controller.send(encodeRendezvous({ requestRelay: { ...request, id: HEALTH_DEVICE } }))
    await passes(controller, device)
    await passes(device, controller)
  } finally {
    for (const end of ends) end.close()
  }
}

async function passes(from: FramedConnection, to: FramedConnection): Promise<void> {
  const sent: OutgoingRendezvousMessage = { registerPeer: { id: HEALTH_DEVICE, serial: 1 } }
  from.send(encodeRendezvous(sent))
  const { union } = decodeRendezvous(await to.receive())
  if (union !== 'registerPeer') throw new Error(`the relay passed on ${union} for registerPeer`)
}

/** What every client asks first; it needs no account. */
async function probeApi({ host, port }: ServiceAddress, signal: AbortSignal): Promise<void> {
  const url = `http://${isIPv6(host) ? `[${host}]` : host}:${port}/api/login-options`
  const status = await new Promise<number | undefined>((resolve, reject) => {
    get(url, { agent: false, signal }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', (cause) => reject(new Error(`${url} cannot be reached (${cause.message})`, { cause })))
  })
  if (status !== 200) throw new Error(`${url} answered with status ${status}`)
}
