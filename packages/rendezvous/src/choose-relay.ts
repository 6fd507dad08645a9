import type { RelayDirectory } from './relay-directory.ts'

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

/**
 * The relay that clients are offered: the operator's list first, else the relays that announced themselves, else the
 * fallback. With several the live ones take turns.
 */
export class RelayChooser {
  #configured: readonly string[] = []
  #live: readonly string[] = []
  #turn = 0

  constructor(
    configured: readonly string[],
    private readonly options: {
      readonly directory: RelayDirectory
      readonly fallback: string
      readonly defaultPort: number
    },
  ) {
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

  /** The next relay, always with its port; empty when there is none to offer. */
  next(): string {
    const candidates = this.#configured.length > 0 ? this.#live : this.options.directory.live().map((r) => r.address)
    if (candidates.length === 0) return this.fallback
    if (candidates.length === 1) return candidates[0] ?? ''
    return candidates[this.#turn++ % candidates.length] ?? ''
  }
}
