import { type Endpoint, encodeRendezvous, mangleAddress, type rendezvous } from '@tryst/protocol'
import { ConnectError } from './connect-error.ts'
import { directConnectLimitMs } from './direct-limit.ts'
import { directWays } from './direct-ways.ts'
import { firstSuccess, type Way } from './first-success.ts'
import { ENDED } from './inbox.ts'
import type { Link } from './link.ts'
import { encodeNatType, type NatType } from './nat-test.ts'
import type { SessionPath } from './peer-session.ts'
import { judgePunchAnswer, type PunchVerdict } from './punch-answer.ts'
import { type Preparation, PunchSockets, prepareSockets } from './punch-sockets.ts'
import { isMessage, type Network, openLink, RendezvousLink, SecureTcpError } from './rendezvous-link.ts'
import { DEFAULT_RELAY_PORT, idServer, parseHostPort } from './service-address.ts'
import { CLIENT_VERSION, CONNECT_LIMIT_MS, PUNCH_WAITS_MS, RELAY_REQUEST_ATTEMPTS } from './stock-client.ts'

/** What an initiator says about itself and its wish. */
export interface Initiation {
  readonly network: Network
  readonly deviceId: string
  readonly natType: NatType
  readonly forceRelay: boolean
  readonly connType: rendezvous.ConnType
  /** Access token of the account API. */
  readonly token: string
  /** Whether a TCP connection to the device is tried. */
  readonly byTcp: boolean
  /** The ID server, where the device is to punch by UDP. */
  readonly byUdp: Endpoint | undefined
  /** An address of ours, where IPv6 is to be tried. */
  readonly ipv6Address: string | undefined
  /** Direct attempts to this device that failed before. */
  readonly earlierFailures: number
  readonly signal: AbortSignal
}

/** A link to the device, and what the server signed about it. */
export interface Reached {
  readonly link: Link
  readonly path: SessionPath
  readonly signedIdentity: Uint8Array
  /** The connection to the ID server; stock clients close it after the handshake when the device began the relay. */
  readonly companion: RendezvousLink | undefined
  readonly directFailed: boolean
  /** The server wants to know how long the session lasts. */
  readonly feedback: number
}

/** Finds a way to the device: directly after a punched hole, else through a relay. @throws ConnectError */
export async function reachDevice(initiation: Initiation): Promise<Reached> {
  const sockets = new PunchSockets()
  try {
    return await reachWith(sockets, initiation)
  } finally {
    await sockets.close()
  }
}

async function reachWith(sockets: PunchSockets, initiation: Initiation): Promise<Reached> {
  const { clock } = initiation.network
  const link = await openIdServerBeside(prepareSockets(sockets, initiation), initiation)
  const startedAtMs = clock.now()
  const verdict = await askForDevice(link, initiation, sockets).catch(async (error: unknown) => {
    await link.close()
    throw error
  })
  if (verdict.kind === 'relay') {
    const met = await meetAtRelay(verdict, initiation, sockets).catch(async (error: unknown) => {
      await link.close()
      throw error
    })
    const { signedIdentity, feedback } = verdict
    return { ...met, signedIdentity, companion: link, directFailed: false, feedback }
  }
  const punchMs = clock.now() - startedAtMs
  const { port } = link.link.local
  // The port is needed for the device's address; a connection that is still closing does not stand in the way.
  void link.close()
  return connectDirectly(verdict, { punchMs, localPort: port, sockets }, initiation)
}

/** Connects to the server while the sockets get ready, and leaves them half of that time again. */
async function openIdServerBeside(preparing: Preparation, initiation: Initiation): Promise<RendezvousLink> {
  const { clock } = initiation.network
  const beganMs = clock.now()
  try {
    const link = await openIdServer(initiation)
    preparing.limit((clock.now() - beganMs) / 2)
    await preparing.done
    return link
  } catch (error) {
    preparing.limit(0)
    await preparing.done
    throw error
  }
}

/** Clients that are signed in insist on encryption towards a server whose key they have. */
async function openIdServer({ network, token, signal }: Initiation): Promise<RendezvousLink> {
  const link = await RendezvousLink.open(network, idServer(network.server), { signal }).catch((cause: unknown) => {
    throw new ConnectError('serverUnreachable', 'Failed to connect to rendezvous server', { cause })
  })
  const key = network.server.key ?? ''
  if (key === '' || token === '') return link
  try {
    await link.secure(key)
    return link
  } catch (cause) {
    void link.close()
    const text = cause instanceof SecureTcpError ? cause.message : 'no answer'
    throw new ConnectError('secureTcp', `Failed to secure tcp: ${text}: Please try later`, { cause })
  }
}

type Direct = Extract<PunchVerdict, { kind: 'direct' }>
type Relay = Extract<PunchVerdict, { kind: 'relay' }>

/** Up to three requests on one connection. */
async function askForDevice(
  link: RendezvousLink,
  initiation: Initiation,
  sockets: PunchSockets,
): Promise<Direct | Relay> {
  let hasEnded = false
  for (const waitMs of PUNCH_WAITS_MS) {
    link.send(punchHoleRequest(initiation, sockets))
    const answer = await link.receiveSkippingKeyExchange(waitMs)
    if (initiation.signal.aborted) throw new ConnectError('aborted', 'the attempt was given up')
    const verdict = judgePunchAnswer(answer)
    if (verdict.kind === 'failed') throw verdict.error
    if (verdict.kind !== 'again') return verdict
    // Like a stock client, repeat once on the dead connection before giving up on it.
    if (answer === ENDED && hasEnded) throw new ConnectError('serverClosed', 'Broken pipe (os error 32)')
    hasEnded = answer === ENDED
  }
  throw new ConnectError('noAnswer', 'Failed to connect via rendezvous server: Please try later')
}

function punchHoleRequest(
  { network, deviceId, natType, forceRelay, connType, token }: Initiation,
  { udpPort, ipv6 }: PunchSockets,
) {
  const isRelayed = forceRelay || network.transport === 'websocket'
  return {
    punchHoleRequest: {
      id: deviceId,
      natType: encodeNatType(isRelayed ? 'symmetric' : natType),
      licenceKey: network.server.key ?? '',
      connType,
      token,
      version: CLIENT_VERSION,
      udpPort,
      forceRelay: isRelayed,
      ...(ipv6 ? { socketAddrV6: mangleAddress(ipv6.local, 0) } : {}),
    },
  }
}

/** The device is on its way to a relay; over IPv6 it may be reached sooner. */
function meetAtRelay(
  { relayServer, pairing, ipv6 }: Relay,
  initiation: Initiation,
  sockets: PunchSockets,
): Promise<Pick<Reached, 'link' | 'path'>> {
  const { network, signal } = initiation
  const direct = directWays({ tcp: undefined, udp: undefined, ipv6 }, sockets, { network, limitMs: CONNECT_LIMIT_MS })
  const ways: Way<Pick<Reached, 'link' | 'path'>>[] = [
    async (signal) => ({ link: await enterRelay(relayServer, pairing, { ...initiation, signal }), path: 'relay' }),
    ...direct.map((way) => async (signal: AbortSignal) => ({ link: await way(signal), path: 'direct' }) as const),
  ]
  return firstSuccess(ways, signal, ({ link }) => void link.close())
}

async function connectDirectly(
  verdict: Direct,
  { punchMs, localPort, sockets }: { punchMs: number; localPort: number; sockets: PunchSockets },
  initiation: Initiation,
): Promise<Reached> {
  const { network, natType, forceRelay, byTcp, earlierFailures, signal } = initiation
  const { address, isLocal, isUdp, ipv6, deviceNat, relayServer, signedIdentity, feedback } = verdict
  const hasRelay = relayServer !== ''
  const limitMs = directConnectLimitMs({ isLocal, deviceNat, ownNat: natType, hasRelay, punchMs, earlierFailures })
  // A WebSocket client has no direct path: it goes to the relay at once. So does one that is told to.
  if (network.transport === 'tcp' && !forceRelay) {
    const tcp = byTcp ? { address, localPort } : undefined
    try {
      const ways = directWays({ tcp, udp: isUdp ? address : undefined, ipv6 }, sockets, { network, limitMs })
      const link = await firstSuccess(ways, signal, (late) => void late.close())
      return { link, path: 'direct', signedIdentity, companion: undefined, directFailed: false, feedback }
    } catch (cause) {
      if (!hasRelay) throw new ConnectError('noPath', 'Failed to make direct connection to remote desktop', { cause })
    }
  }
  const relayed = await requestRelay(relayServer, signedIdentity.length > 0, initiation)
  return { ...relayed, path: 'relay', signedIdentity, companion: undefined, directFailed: true }
}

/** Has the device come to the relay: up to three times, each on a new connection and with a new pairing. */
async function requestRelay(
  relayServer: string,
  isSecure: boolean,
  initiation: Initiation,
): Promise<Pick<Reached, 'link' | 'feedback'>> {
  const { deviceId, token, signal } = initiation
  for (let attempt = 0; attempt < RELAY_REQUEST_ATTEMPTS; attempt++) {
    const pairing = crypto.randomUUID()
    const link = await openIdServer(initiation)
    try {
      link.send({ requestRelay: { id: deviceId, uuid: pairing, relayServer, secure: isSecure, token } })
      const answer = await link.receiveSkippingKeyExchange(CONNECT_LIMIT_MS)
      if (signal.aborted) throw new ConnectError('aborted', 'the attempt was given up')
      const response = isMessage(answer) ? answer.relayResponse : undefined
      if (response?.refuseReason) {
        throw new ConnectError(
          'relayRefused',
          `Failed to connect via relay server: ${response.refuseReason}: Please try later`,
        )
      }
      if (response) {
        void link.close()
        return { link: await enterRelay(relayServer, pairing, initiation), feedback: response.feedback ?? 0 }
      }
    } finally {
      void link.close()
    }
  }
  throw new ConnectError('relayTimeout', 'Failed to connect via relay server: Timeout: Please try later')
}

async function enterRelay(relayServer: string, pairing: string, initiation: Initiation): Promise<Link> {
  const { network, deviceId, connType, signal } = initiation
  try {
    const link = await openLink(network, parseHostPort(relayServer, DEFAULT_RELAY_PORT), { signal })
    const licenceKey = network.server.key ?? ''
    link.send(encodeRendezvous({ requestRelay: { id: deviceId, uuid: pairing, licenceKey, connType } }))
    return link
  } catch (cause) {
    throw new ConnectError('relayUnreachable', 'Failed to connect to relay server: Please try later', { cause })
  }
}
