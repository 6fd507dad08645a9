import { randomUUID } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { type Endpoint, encodeRendezvous, mangleAddress } from '@tryst/protocol'
import { pause } from './clock.ts'
import { openKcpLink } from './kcp-link.ts'
import type { Link } from './link.ts'
import { encodeNatType, type NatType } from './nat-test.ts'
import type { SessionPath } from './peer-session.ts'
import { randomInteger } from './random.ts'
import type { Reaction } from './reaction.ts'
import { findServer, type Network, openDirectLink, openLink, RendezvousLink } from './rendezvous-link.ts'
import { DEFAULT_RELAY_PORT, idServer, parseHostPort } from './service-address.ts'
import { CLIENT_VERSION, LISTEN_MS, NAT_OPENING_LIMIT_MS } from './stock-client.ts'
import { TcpLink } from './tcp-link.ts'

/** A link on which the initiator is, or will be, at the other end. */
export interface Meeting {
  readonly link: Link
  readonly path: SessionPath
  readonly isSecure: boolean
  /** Stays open beside the session, as with stock devices. */
  readonly companion?: RendezvousLink
}

export interface MeetingContext {
  readonly network: Network
  readonly id: string
  readonly natType: NatType
  /** Where this device waits for datagrams over IPv6; undefined: it does not. */
  readonly ipv6?: Endpoint | undefined
  readonly signal: AbortSignal
}

/** Carries out a reaction. Undefined when the initiator did not come. @throws LinkError when a server is not reached */
export async function meet(reaction: Reaction, context: MeetingContext): Promise<Meeting | undefined> {
  switch (reaction.kind) {
    case 'ignore':
      return undefined
    case 'punch':
      return punch(reaction, context)
    case 'punchByUdp':
      return punchByUdp(reaction, context)
    case 'offerLocalAddress':
      return offerLocalAddress(reaction, context)
    case 'beginRelay':
      return beginRelay(reaction, context)
    case 'joinRelay':
      return joinRelay(reaction, context)
  }
}

/** The answer over UDP leaves three times, the repeats after so long each. */
const ANSWER_REPEATS = 2
const SHORTEST_ANSWER_PAUSE_MS = 10
const LONGEST_ANSWER_PAUSE_MS = 30

/** Every answer to the server travels on a connection of its own. */
const openAnswer = ({ network, signal }: MeetingContext) =>
  RendezvousLink.open(network, idServer(network.server), { signal })

async function punch(
  { handle, initiator, relayServer }: Extract<Reaction, { kind: 'punch' }>,
  context: MeetingContext,
): Promise<Meeting | undefined> {
  const { network, signal } = context
  const answer = await openAnswer(context)
  const { local } = answer.link
  await openNat(initiator, local.port, network, signal)
  const { isListening, arrival } = awaitInitiator(local, context)
  await isListening
  answer.send({
    // The very bytes of the push: the server may have hidden a secret in them.
    punchHoleSent: punchHoleSent({ handle, relayServer }, context),
  })
  void answer.close()
  return arrival
}

function punchHoleSent({ handle, relayServer }: { handle: Uint8Array; relayServer: string }, context: MeetingContext) {
  const { id, natType } = context
  const version = CLIENT_VERSION
  return { socketAddr: handle, id, relayServer, natType: encodeNatType(natType), version, ...ipv6Of(context) }
}

const ipv6Of = ({ ipv6 }: MeetingContext) => (ipv6 ? { socketAddrV6: mangleAddress(ipv6, 0) } : {})

/** The answer is a datagram from the socket that punches: it shows the server where that is outside. */
async function punchByUdp(
  { handle, initiator, relayServer }: Extract<Reaction, { kind: 'punchByUdp' }>,
  context: MeetingContext,
): Promise<Meeting | undefined> {
  const { network, signal } = context
  const server = await findServer(network, signal)
  if (!server || !network.dialler.punchSocket) return undefined
  const { clock, localAddress } = network
  const socket = await network.dialler.punchSocket({ family: server.ip.includes(':') ? 6 : 4, localAddress })
  const answer = encodeRendezvous({ punchHoleSent: punchHoleSent({ handle, relayServer }, context) })
  socket.send(answer, server)
  void repeatAnswer(() => socket.send(answer, server), context)
  const options = { role: 'accept', clock, limitMs: LISTEN_MS, signal } as const
  const link = await openKcpLink(socket, initiator, options).catch(() => undefined)
  return link && { link: network.links?.add(link) ?? link, path: 'direct', isSecure: true }
}

/** Datagrams get lost: twice more. */
async function repeatAnswer(send: () => void, { network, signal }: MeetingContext): Promise<void> {
  for (let i = 0; i < ANSWER_REPEATS; i++) {
    await pause(network.clock, randomInteger(SHORTEST_ANSWER_PAUSE_MS, LONGEST_ANSWER_PAUSE_MS), signal)
    if (signal.aborted) return
    send()
  }
}

/**
 * Waits for the initiator over IPv6, on an address of ours. `local`: where that is, for the answer to the server.
 * Undefined when the address cannot be used.
 */
export async function waitOverIpv6(
  address: string,
  initiator: Endpoint,
  { network, signal }: MeetingContext,
): Promise<{ readonly local: Endpoint; readonly arrival: Promise<Meeting | undefined> } | undefined> {
  const { clock, links, dialler } = network
  const socket = await dialler.punchSocket?.({ family: 6, localAddress: address }).catch(() => undefined)
  if (!socket) return undefined
  const { local } = socket
  const arrival = openKcpLink(socket, initiator, { role: 'accept', clock, limitMs: LISTEN_MS, signal }).then(
    (link): Meeting => ({ link: links?.add(link) ?? link, path: 'direct', isSecure: true }),
    () => undefined,
  )
  return { local, arrival }
}

async function offerLocalAddress(
  { initiator, relayServer }: Extract<Reaction, { kind: 'offerLocalAddress' }>,
  context: MeetingContext,
): Promise<Meeting | undefined> {
  const answer = await openAnswer(context)
  const { local } = answer.link
  const { isListening, arrival } = awaitInitiator(local, context)
  await isListening
  answer.send({
    localAddr: {
      // Other than in a punch, stock devices encode the address anew.
      socketAddr: mangleAddress(initiator, clockTm()),
      localAddr: mangleAddress(local, clockTm()),
      relayServer,
      id: context.id,
      version: CLIENT_VERSION,
      ...ipv6Of(context),
    },
  })
  void answer.close()
  return arrival
}

/** The low 32 bits of the microseconds since 1970, which stock clients mix into an address. */
const clockTm = (): number => ((performance.timeOrigin + performance.now()) * 1_000) % 0x1_0000_0000

async function beginRelay(
  { handle, relayServer }: Extract<Reaction, { kind: 'beginRelay' }>,
  context: MeetingContext,
): Promise<Meeting> {
  const pairing = randomUUID()
  const companion = await openAnswer(context)
  companion.send({
    relayResponse: {
      ...{ socketAddr: handle, uuid: pairing, relayServer, id: context.id, version: CLIENT_VERSION },
      ...ipv6Of(context),
    },
  })
  return enterRelay(relayServer, pairing, { companion, isSecure: true }, context)
}

async function joinRelay(
  { handle, relayServer, pairing, isSecure }: Extract<Reaction, { kind: 'joinRelay' }>,
  context: MeetingContext,
): Promise<Meeting> {
  const companion = await openAnswer(context)
  companion.send({ relayResponse: { socketAddr: handle, version: CLIENT_VERSION } })
  return enterRelay(relayServer, pairing, { companion, isSecure }, context)
}

async function enterRelay(
  relayServer: string,
  pairing: string,
  { companion, isSecure }: { companion: RendezvousLink; isSecure: boolean },
  { network, signal }: MeetingContext,
): Promise<Meeting> {
  try {
    const link = await openLink(network, parseHostPort(relayServer, DEFAULT_RELAY_PORT), { signal })
    link.send(encodeRendezvous({ requestRelay: { uuid: pairing, licenceKey: network.server.key ?? '' } }))
    return { link, path: 'relay', isSecure, companion }
  } catch (error) {
    await companion.close()
    throw error
  }
}

/** A short attempt towards the initiator from the port it will be given: it opens our NAT, and is refused as a rule. */
async function openNat(initiator: Endpoint, localPort: number, network: Network, signal: AbortSignal): Promise<void> {
  const options = { limitMs: NAT_OPENING_LIMIT_MS, localPort, signal }
  const link = await openDirectLink(network, initiator, options).catch(() => undefined)
  await link?.close()
}

interface Awaiting {
  /** Resolves as well when it turns out that nobody can be met here. */
  readonly isListening: Promise<void>
  readonly arrival: Promise<Meeting | undefined>
}

/**
 * Listens on the port that the server is being told and takes the first connection. Stock devices listen only after
 * they have told the server and so miss an initiator that is fast; we listen a moment earlier, which nobody can see.
 *
 * The port still belongs to the connection to the server; SO_REUSEADDR on both lets us share it. Where the system does
 * not allow that, nobody is met here and the initiator turns to the relay by itself.
 */
function awaitInitiator(local: Endpoint, { network, signal }: MeetingContext): Awaiting {
  const { clock, links } = network
  const { promise: isListening, resolve: listens } = Promise.withResolvers<void>()
  const arrival = new Promise<Meeting | undefined>((resolve) => {
    const server = createServer({ allowHalfOpen: true })
    const finish = (meeting: Meeting | undefined) => {
      cancel()
      signal.removeEventListener('abort', giveUp)
      server.close()
      listens()
      resolve(meeting)
    }
    const giveUp = () => finish(undefined)
    const cancel = clock.after(LISTEN_MS, giveUp)
    signal.addEventListener('abort', giveUp)
    server.once('connection', (socket: Socket) => {
      const link = new TcpLink(socket, clock)
      finish({ link: links?.add(link) ?? link, path: 'direct', isSecure: true })
    })
    server.on('error', giveUp)
    server.listen({ host: local.ip, port: local.port }, listens)
    if (signal.aborted) giveUp()
  })
  return { isListening, arrival }
}
