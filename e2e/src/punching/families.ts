/** Address families of a machine: its servers listen on all that there are. */
export type Families = 'v4' | 'v6' | 'both'

/** How a peer of a case takes part. */
export interface PeerWays {
  /** The family over which it reaches the server. */
  readonly server: 'v4' | 'v6'
  /** It also has an IPv6 address for the other peer. */
  readonly offersIpv6?: boolean
}

/** Two peers that are to meet. */
export interface FamilyCase {
  readonly device: PeerWays
  readonly controller: PeerWays & { readonly udpPunch?: boolean; readonly tcpPunch?: boolean }
  readonly forceRelay?: boolean
}

/** What came of it. */
export interface FamilyOutcome {
  readonly route: string
  /** What the device did about each push, and at which relay it would have met. */
  readonly reactions: readonly string[]
  readonly relays: readonly string[]
  readonly isEncrypted: boolean
  /** What was sent arrived, both ways. */
  readonly isWhole: boolean
}

export interface FamilyReport {
  /** TCP ports of the servers on which somebody listens. */
  readonly openPorts: Readonly<Record<'v4' | 'v6', readonly number[]>>
  readonly outcomes: readonly FamilyOutcome[]
}

/** NAT test, ID server, relay, and the WebSockets of both. */
export const TCP_PORTS = [21115, 21116, 21117, 21118, 21119] as const

/** The addresses of one machine on which everybody is. */
export const MACHINE = {
  v4: { server: '127.0.0.1', device: '127.0.0.2', controller: '127.0.0.3' },
  v6: { server: 'fd00:7::1', device: 'fd00:7::2', controller: 'fd00:7::3' },
} as const

export const RELAYS = { v4: `${MACHINE.v4.server}:21117`, v6: `[${MACHINE.v6.server}]:21117` } as const
