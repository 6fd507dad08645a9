import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { queryOnline, RendezvousLink } from '@tryst/client'
import {
  decodeRendezvous,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { check, type Known, type Verdict } from '../check.ts'
import { fine, wrong } from '../finding.ts'
import { ownIdentity } from '../own-identity.ts'
import { tcpNetwork } from '../probes/network.ts'

export interface UdpFacts {
  readonly ip: string
  readonly port: number
  /** `register`: a device was answered; `natTest`: only what needs no store was. */
  readonly answered: 'register' | 'natTest' | 'nothing'
  readonly wasRefused: boolean
  /** The server knows of a device whose datagrams it never answered. Undefined: not asked, or it did not say. */
  readonly arrived: boolean | undefined
}

const SENDINGS = 3

/** Datagrams to the ID server, and its answers. */
export const udp = check<UdpFacts>({
  name: 'UDP',
  needs: ['host', 'idServer'],
  applies: ({ target }) => target.mode === 'all',
  probe: probeUdp,
  judge: judgeUdp,
})

async function probeUdp(known: Known): Promise<UdpFacts> {
  const { target, ip } = known
  const { port, limitMs } = target
  // Who has a connection is answered even where no device can be looked up.
  const companion = await RendezvousLink.open(tcpNetwork(known), { host: ip, port }, { limitMs }).catch(() => undefined)
  const socket = createSocket(ip.includes(':') ? 'udp6' : 'udp4')
  const seen = { register: false, natTest: false, refused: false }
  const { promise: answered, resolve } = Promise.withResolvers<void>()
  socket.on('error', () => {
    seen.refused = true
  })
  socket.on('message', (datagram) => {
    const message = read(datagram)
    if (message?.registerPeerResponse) seen.register = true
    if (message?.testNatResponse) seen.natTest = true
    if (seen.register) resolve()
  })
  try {
    socket.connect(port, ip)
    await once(socket, 'connect')
    const { id, uuid, publicKey } = ownIdentity()
    const send = (message: OutgoingRendezvousMessage) => socket.send(encodeRendezvous(message), () => undefined)
    for (let i = 0; i < SENDINGS && !seen.register; i++) {
      send({ registerPeer: { id, serial: 3 } })
      send({ testNatRequest: { serial: 3 } })
      await Promise.race([answered, pauseMs(limitMs / SENDINGS)])
    }
    if (seen.register || seen.natTest || known.key === undefined)
      return { ip, port, ...summary(seen), arrived: undefined }
    // A device that is registered without hearing of it is online all the same.
    send({ registerPk: { id, uuid, pk: publicKey } })
    send({ registerPk: { id, uuid, pk: publicKey } })
    await pauseMs(limitMs / SENDINGS)
    const online = await queryOnline(tcpNetwork(known), 'doctor', [id]).catch(() => undefined)
    return { ip, port, ...summary(seen), arrived: online?.get(id) }
  } finally {
    socket.close()
    void companion?.close()
  }
}

const summary = ({ register, natTest, refused }: { register: boolean; natTest: boolean; refused: boolean }) => ({
  answered: register ? ('register' as const) : natTest ? ('natTest' as const) : ('nothing' as const),
  wasRefused: refused,
})

const pauseMs = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function read(datagram: Uint8Array): RendezvousMessage | undefined {
  try {
    return decodeRendezvous(datagram)
  } catch {
    return undefined
  }
}

export function judgeUdp({ ip, port, answered, wasRefused, arrived }: UdpFacts): Verdict {
  const evidence = `${SENDINGS} datagrams to ${ip}, UDP ${port}`
  if (answered !== 'nothing') return { findings: [fine(`UDP ${port} (devices register) works both ways`, evidence)] }
  if (arrived) {
    const finding = wrong(
      'udp-one-way',
      `UDP ${port} works one way only: answers get lost`,
      `${evidence}: no answer came, but the server took the device that they registered for online`,
      "let answers out: a firewall drops outgoing UDP, or they leave from another address than datagrams came to (the server's address with BIND, or a network of the container that hides addresses)",
    )
    return { findings: [finding], breaks: ['udp'] }
  }
  const found = wasRefused ? 'refused: nothing listens there' : 'no answer'
  const finding = wrong(
    'udp-closed',
    `UDP ${port} is closed: no device can register`,
    `${evidence}: ${found}, while TCP ${port} is open`,
    `open and forward ${port} for UDP as well as TCP (Docker: "${port}:${port}/udp")`,
  )
  return { findings: [finding], breaks: ['udp'] }
}
