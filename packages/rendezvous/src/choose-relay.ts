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
    this.#live = live.map((relay) => withPort(relay, defaultPort))
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
    if (known.length > 0) this.#live = known
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

  /** The relay for a client at this address, always with its port; empty when there is none to offer. */
  next(ip: string): string {
    if (this.#configured.length > 0) return this.#takeTurns() ?? this.fallback
    return this.#rules.find(ip) ?? this.#announced() ?? this.fallback
  }

  /** A relay that another client was offered, in the words in which a client at this address can reach it. */
  translate(relay: string, ip: string): string {
    if (relay === '' || this.#rules.isEmpty || this.#configured.length > 0) return relay
    return this.#rules.find(ip) ?? (this.#rules.names(relay) ? this.next(ip) : relay)
  }

  #takeTurns(): string | undefined {
    return this.#live[this.#turn++ % this.#live.length]
  }

  /** Of two drawn at random the one with more to spare: loads are a second old, and the best would get everybody. */
  #announced(): string | undefined {
    const { directory, random } = this.options
    const reachable = directory.isFresh ? undefined : this.#reachable
    const candidates = directory
      .live()
      .filter(({ isDraining, address }) => !isDraining && (!reachable || reachable.has(address)))
    if (candidates.length < 2) return candidates[0]?.address
    const first = random() % candidates.length
    const second = (first + 1 + (random() % (candidates.length - 1))) % candidates.length
    const [a, b] = [candidates[first], candidates[second]]
    return a && b && freeBitsPerSecond(b) > freeBitsPerSecond(a) ? b.address : a?.address
  }
}

const freeBitsPerSecond = (relay: AnnouncedRelay) => relay.capacityBitsPerSecond - relay.loadBitsPerSecond
