import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { type NodeLinkOptions, NodeLinks } from '@tryst/node-link'
import { type Dial, SharedSessions, seeded } from '@tryst/relay/contract'
import { StreamHalf } from '@tryst/transport'
import { relayClock } from '../src/relay-clock.ts'
import { type RunningRelay, startRelay, type TestOptions } from './running-relay.ts'

/** What relays are joined by. */
export type LinkKind = 'tcp' | 'tls' | 'node links'

const TLS = { ciphers: 'PSK-AES128-GCM-SHA256', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const

export interface JoinedRelays {
  readonly relays: readonly RunningRelay[]
  readonly sessions: SharedSessions
  close(): Promise<void>
}

/**
 * Relays that share one memory of sessions, with random pauses before and after each question, and dial one another over
 * real sockets.
 */
export async function startJoinedRelays({
  count = 2,
  link = 'tcp',
  seed = 1,
  longestDelayMs = 3,
  options = {},
}: {
  readonly count?: number
  readonly link?: LinkKind
  readonly seed?: number
  readonly longestDelayMs?: number
  readonly options?: TestOptions
} = {}): Promise<JoinedRelays> {
  if (link === 'node links') return startLinkedRelays({ count, seed, longestDelayMs, options })
  const psk = randomBytes(32)
  const random = seeded(seed)
  const delay = () => new Promise<void>((resolve) => setTimeout(resolve, random() * longestDelayMs))
  const sessions = new SharedSessions({ clock: relayClock, delay })
  const links = new Map<string, number>()
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  const keep = <S extends Socket>(socket: S): S => {
    sockets.add(socket)
    return socket.on('error', () => undefined)
  }

  const dial: Dial = async ({ node, half }, uuid) => {
    const address = { port: links.get(node) ?? 0, host: '127.0.0.1', allowHalfOpen: true }
    const socket = keep(
      link === 'tcp'
        ? connect(address)
        : connectTls({
            ...address,
            ...TLS,
            checkServerIdentity: () => undefined,
            pskCallback: () => ({ psk, identity: 'node' }),
          }),
    )
    socket.write(`${JSON.stringify({ uuid, half })}\n`)
    const answer = await readByte(socket)
    return answer === '+' ? new StreamHalf(socket) : undefined
  }

  const relays: RunningRelay[] = []
  for (let i = 0; i < count; i++) {
    const relay = await startRelay(options, { broker: sessions.broker(`relay ${i}`, dial) })
    const accept = async (socket: Socket): Promise<void> => {
      keep(socket)
      const request = JSON.parse(await readLine(socket))
      if (!relay.hbbr.awaits(request)) {
        socket.end('-')
        return
      }
      socket.write('+')
      relay.hbbr.join(request, socket)
    }
    const server =
      link === 'tcp'
        ? createServer({ allowHalfOpen: true }, (socket) => void accept(socket))
        : createTlsServer({ ...TLS, allowHalfOpen: true, pskCallback: () => psk }, (socket) => void accept(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    links.set(`relay ${i}`, (server.address() as { port: number }).port)
    relays.push(relay)
    servers.push(server)
  }
  return {
    relays,
    sessions,
    async close() {
      for (const { hbbr } of relays) hbbr.relay.closeArrivals()
      await Promise.all(relays.map(({ hbbr }) => hbbr.close()))
      for (const socket of sockets) socket.destroy()
      for (const server of servers) server.close()
    },
  }
}

/** Nobody asks a relay anything. */
const NO_ANSWERS: NodeLinkOptions['handle'] = {
  push: () => 'not-mine',
  forget: () => {},
  holds: () => [],
  answer: async () => false,
  ticketFor: () => undefined,
  hasStore: () => false,
  hasDeviceInNetwork: () => false,
  dismiss: () => {},
  recall: () => undefined,
}

type NodeId = NodeLinkOptions['incarnation']

/** The same over the connections that nodes of one server have. */
async function startLinkedRelays({
  count,
  seed,
  longestDelayMs,
  options,
}: {
  readonly count: number
  readonly seed: number
  readonly longestDelayMs: number
  readonly options: TestOptions
}): Promise<JoinedRelays> {
  const random = seeded(seed)
  const delay = () => new Promise<void>((resolve) => setTimeout(resolve, random() * longestDelayMs))
  const sessions = new SharedSessions({ clock: relayClock, delay })
  const secretKey = randomBytes(64)
  const relays: RunningRelay[] = []
  const links: NodeLinks[] = []
  for (let i = 0; i < count; i++) {
    const own = await NodeLinks.open({
      secretKey,
      incarnation: `relay ${i}` as NodeId,
      name: `relay ${i}`,
      version: '0',
      listen: { host: '127.0.0.1', port: 0 },
      handle: NO_ANSWERS,
      onStream: (opening, stream) => relays[i]?.hbbr.join(opening, stream) === true,
      events: { opened: () => {}, lost: () => {}, refused: () => {}, unreachable: () => {} },
    })
    const dial: Dial = async ({ node, half }, uuid) => {
      const to = links[Number(node.slice('relay '.length))]
      if (!to) return undefined
      const stream = await own.openStream({ incarnation: node as NodeId, address: to.address }, { uuid, half })
      return stream === 'gone' ? undefined : new StreamHalf(stream)
    }
    links.push(own)
    relays.push(await startRelay(options, { broker: sessions.broker(`relay ${i}`, dial) }))
  }
  return {
    relays,
    sessions,
    async close() {
      for (const { hbbr } of relays) hbbr.relay.closeArrivals()
      await Promise.all(relays.map(({ hbbr }) => hbbr.close()))
      for (const own of links) own.close()
    },
  }
}

/** One byte, and not one more; empty when the stream ends before. */
async function readByte(socket: Socket): Promise<string> {
  for (;;) {
    const byte = socket.read(1)
    if (byte !== null) return String(byte)
    if (socket.readableEnded || socket.destroyed) return ''
    await new Promise<void>((resolve) => {
      const proceed = () => {
        for (const event of ['readable', 'end', 'close']) socket.off(event, proceed)
        resolve()
      }
      for (const event of ['readable', 'end', 'close']) socket.on(event, proceed)
    })
  }
}

async function readLine(socket: Socket): Promise<string> {
  let line = ''
  for (;;) {
    const byte = await readByte(socket)
    if (byte === '\n' || byte === '') return line
    line += byte
  }
}
