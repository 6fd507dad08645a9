import ipaddr from 'ipaddr.js'

/** Clients inside a network are given this relay. */
export interface RelayRule {
  readonly cidr: string
  /** `host`, or `host:port`. */
  readonly relay: string
}

/** Which relay clients can reach, by where they are; the first rule that fits decides. */
export class RelayRules {
  readonly #rules: readonly { readonly network: [ipaddr.IPv4 | ipaddr.IPv6, number]; readonly relay: string }[]
  readonly #relays: ReadonlySet<string>

  /** @throws Error when a CIDR is none */
  constructor(rules: readonly RelayRule[]) {
    this.#rules = rules.map(({ cidr, relay }) => ({ network: ipaddr.parseCIDR(cidr), relay }))
    this.#relays = new Set(rules.map(({ relay }) => relay))
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  /** The relay of a client at this plain address; undefined when no rule fits. */
  find(ip: string): string | undefined {
    if (this.isEmpty || !ipaddr.isValid(ip)) return undefined
    const address = ipaddr.parse(ip)
    return this.#rules.find(({ network }) => address.kind() === network[0].kind() && address.match(network))?.relay
  }

  /** Whether some rule gives this relay, so that other clients may not reach it. */
  names(relay: string): boolean {
    return this.#relays.has(relay)
  }
}
