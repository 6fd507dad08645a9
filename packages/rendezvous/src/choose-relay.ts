import { NOT_IPV4, packIpv4 } from './packed-ipv4.ts'
import type { AnnouncedRelay, RelayDirectory } from './relay-directory.ts'
import { type RelayRule, RelayRules } from './relay-rules.ts'
import type { RandomUint32 } from './waiting-initiators.ts'

/** `host` gets the port that clients would add themselves, so that they never have to. */
export function withPort(relay: string, port: number): string {
  const isBareIpv6 = !relay.startsWith('[') && relay.split(':').length > 2
  if (isBareIpv6) return `[${relay}]:${port}`
  return /:\d+$/.test(relay) ? relay : `${relay}:${port}`
}

/** The host part of `host`, `host:port` or `[v6]:port`. */
export function hostOf(relay: string): string {
  if (relay.startsWith('[')) return relay.slice(1, relay.indexOf(']'))
  return relay.split(':').length === 2 ? relay.slice(0, relay.indexOf(':')) : relay
}

/** Whether only IPv6 leads to this relay. Clients may name a URL, `wss://host:port/path`, whose host is a name. */
export const isNamedByIpv6 = (relay: string): boolean =>
  relay.indexOf(':') !== relay.lastIndexOf(':') && !relay.includes('://')

const isNamedByIpv4 = (relay: string): boolean => packIpv4(hostOf(relay)) !== NOT_IPV4

export interface RelayChooserOptions {
  readonly directory: RelayDirectory
  readonly fallback: string
  /** Port of a relay that is configured without one. */
  readonly defaultPort: number
  readonly rules: readonly RelayRule[]
  readonly random: RandomUint32
}

/**
 * The relay that clients are offered: the operator's list first, where several live ones take turns; else by the
 * operator's rules; else a relay that announced itself; else the fallback (docs/protocol.md, punch-hole decision).
 */
export class RelayChooser {
  readonly #rules: RelayRules
  #configured: readonly string[] = []
  #live: readonly string[] = []
  /** Of those the ones for a pair of clients, by the address families that they are known to have. */
  #liveFor: Record<Reach, readonly string[]> = { v4: [], v6: [], mixed: [] }
  /** Announced relays that a probe found; undefined: not probed. */
  #reachable: ReadonlySet<string> | undefined
  #turn = 0

  constructor(
    configured: readonly string[],
    private readonly options: RelayChooserOptions,
  ) {
    const { rules, defaultPort } = options
    this.#rules = new RelayRules(rules.map(({ cidr, relay }) => ({ cidr, relay: withPort(relay, defaultPort) })))
    this.configure(configured)
  }

  /** Replaces the operator's list. @param live those that may be offered until they have been probed */
  configure(relays: readonly string[], live: readonly string[] = relays): void {
    const { defaultPort } = this.options
    this.#configured = relays.map((relay) => withPort(relay, defaultPort))
    this.#keepLive(live.map((relay) => withPort(relay, defaultPort)))
  }

  /** What is offered when there is no other relay; empty: nothing. */
  get fallback(): string {
    return this.options.fallback
  }

  get configured(): readonly string[] {
    return this.#configured
  }

  get live(): readonly string[] {
    return this.#live
  }

  /** What a probe of the list found, in the order of the answers; a probe that nobody answered changes nothing. */
  setLive(live: readonly string[]): void {
    const known = live.filter((relay) => this.#configured.includes(relay))
    if (known.length > 0) this.#keepLive(known)
  }

  /** Announced relays that have to be probed, since nobody can say whether they still renew what they announced. */
  get unconfirmed(): readonly string[] {
    const { directory } = this.options
    if (this.#configured.length > 0 || directory.isFresh) return []
    return directory.live().map(({ address }) => address)
  }

  /** What a probe of `unconfirmed` found; while none of them answers all are offered. */
  setReachable(addresses: readonly string[]): void {
    this.#reachable = addresses.length > 0 ? new Set(addresses) : undefined
  }

  /**
   * The relay for a client at this address, always with its port; empty when there is none to offer. None that is named
   * by an IPv6 address when one of the two clients is known by an IPv4 address only.
   *
   * @param otherIp of the client that it will meet there
   */
  next(ip: string, otherIp = ip): string {
    const reach = reachOf(ip, otherIp)
    if (this.#configured.length > 0) return this.#takeTurns(reach) ?? this.#fallbackFor(reach)
    const ruled = this.#rules.find(ip)
    if (ruled !== undefined && canReach(ruled, reach)) return ruled
    return this.#announced(reach) ?? this.#fallbackFor(reach)
  }

  /**
   * A relay that another client was offered, or chose, in the words in which a client at this address can reach it. One
   * that it cannot reach is exchanged for one that it can.
   */
  translate(relay: string, ip: string): string {
    if (relay === '') return relay
    const own = this.#translated(relay, ip)
    if (isIpv6(ip) || !isNamedByIpv6(own)) return own
    return this.next(ip) || own
  }

  #translated(relay: string, ip: string): string {
    if (this.#rules.isEmpty || this.#configured.length > 0) return relay
    return this.#rules.find(ip) ?? (this.#rules.names(relay) ? this.next(ip) : relay)
  }

  #keepLive(live: readonly string[]): void {
    this.#live = live
    this.#liveFor = { v4: reachable(live, 'v4'), v6: reachable(live, 'v6'), mixed: reachable(live, 'mixed') }
  }

  #takeTurns(reach: Reach): string | undefined {
    const live = this.#liveFor[reach]
    return live[this.#turn++ % live.length]
  }

  #fallbackFor(reach: Reach): string {
    return canReach(this.fallback, reach) ? this.fallback : ''
  }

  /** Of two drawn at random the one with more to spare: loads are a second old, and the best would get everybody. */
  #announced(reach: Reach): string | undefined {
    const { directory, random } = this.options
    const probed = directory.isFresh ? undefined : this.#reachable
    const offered = directory
      .live()
      .filter(({ isDraining, address }) => !isDraining && canReach(address, reach) && (!probed || probed.has(address)))
    const candidates = preferred(offered, reach, ({ address }) => address)
    if (candidates.length < 2) return candidates[0]?.address
    const first = random() % candidates.length
    const second = (first + 1 + (random() % (candidates.length - 1))) % candidates.length
    const [a, b] = [candidates[first], candidates[second]]
    return a && b && freeBitsPerSecond(b) > freeBitsPerSecond(a) ? b.address : a?.address
  }
}

/** The address families of a pair of clients, as far as their addresses tell. */
type Reach = 'v4' | 'v6' | 'mixed'

function reachOf(ip: string, otherIp: string): Reach {
  if (isIpv6(ip) !== isIpv6(otherIp)) return 'mixed'
  return isIpv6(ip) ? 'v6' : 'v4'
}

/** A client that is known by an IPv6 address mostly has IPv4 as well, but not the other way round. */
const canReach = (relay: string, reach: Reach): boolean => reach === 'v6' || !isNamedByIpv6(relay)

/** Relays without an IPv4 address in their name where some client may have no IPv4, if there are any. */
function preferred<T>(relays: readonly T[], reach: Reach, nameOf: (relay: T) => string): readonly T[] {
  if (reach === 'v4') return relays
  const better = relays.filter((relay) => !isNamedByIpv4(nameOf(relay)))
  return better.length > 0 ? better : relays
}

const reachable = (relays: readonly string[], reach: Reach): readonly string[] =>
  preferred(
    relays.filter((relay) => canReach(relay, reach)),
    reach,
    (relay) => relay,
  )

/** Of an address in plain form. */
const isIpv6 = (ip: string): boolean => ip.includes(':')

const freeBitsPerSecond = (relay: AnnouncedRelay) => relay.capacityBitsPerSecond - relay.loadBitsPerSecond
