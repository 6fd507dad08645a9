import type { Namespace } from '../src/site/namespace.ts'

export interface Prefixes {
  /** Three octets: `192.0.2`. */
  readonly ipv4: string
  /** Four groups: `2001:db8:1:2`. */
  readonly ipv6: string
}

/** Interface on which a network's own machine, its gateway, is a member of it. */
export const BRIDGE = 'lan'
const GATEWAY = 1

/** Some machines switch IPv6 off for everything new. */
const WITH_IPV6 = ['net.ipv6.conf.all.disable_ipv6=0', 'net.ipv6.conf.default.disable_ipv6=0']
const FORWARDING = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']
/** What goes from machine to machine of one network is none of a router's business. Unknown where there is no need. */
const NO_RULES_FOR_BRIDGES = ['net.bridge.bridge-nf-call-iptables=0', 'net.bridge.bridge-nf-call-ip6tables=0']

/** One network: a bridge in the namespace of its gateway, to which machines are attached. */
export class Network {
  private constructor(
    readonly gateway: Namespace,
    private readonly prefixes: Prefixes,
    /** Takes care that the world outside sends what is meant for these IPv6 addresses here. */
    private readonly announce: (ipv6: string) => void,
  ) {}

  static make(gateway: Namespace, prefixes: Prefixes, announce: (ipv6: string) => void = () => undefined): Network {
    const network = new Network(gateway, prefixes, announce)
    gateway.run('sysctl', '-qew', ...WITH_IPV6, ...FORWARDING, ...NO_RULES_FOR_BRIDGES)
    gateway.ipBatch([
      `link add ${BRIDGE} type bridge`,
      `addr add ${network.ipv4(GATEWAY)}/24 dev ${BRIDGE}`,
      `addr add ${network.ipv6(GATEWAY)}/64 dev ${BRIDGE} nodad`,
      `link set ${BRIDGE} up`,
    ])
    return network
  }

  ipv4(host: number): string {
    return `${this.prefixes.ipv4}.${host}`
  }

  ipv6(host: number): string {
    return `${this.prefixes.ipv6}::${host}`
  }

  /** What its machines call their cable to this network. */
  get interfaceName(): string {
    return this.gateway.label
  }

  /** Gives the machine these addresses in the network, the first as the source of what it sends. */
  attach(machine: Namespace, ...hosts: readonly [number, ...number[]]): void {
    const { gateway, interfaceName } = this
    machine.run('sysctl', '-qew', ...WITH_IPV6)
    gateway.ipBatch([
      `link add ${machine.label} type veth peer name ${interfaceName} netns ${machine.name}`,
      `link set ${machine.label} master ${BRIDGE} up`,
    ])
    machine.ipBatch([
      ...hosts.map((host) => `addr add ${this.ipv4(host)}/24 dev ${interfaceName}`),
      ...hosts.map((host) => `addr add ${this.ipv6(host)}/64 dev ${interfaceName} nodad`),
      `link set ${interfaceName} up`,
      `route add default via ${this.ipv4(GATEWAY)}`,
      `route add default via ${this.ipv6(GATEWAY)}`,
    ])
  }

  /** Sends the IPv6 network to a member of this one, and has the networks above send it here. */
  route(ipv6: string, viaHost: number): void {
    this.gateway.ipBatch([`route add ${ipv6} via ${this.ipv6(viaHost)}`])
    this.announce(ipv6)
  }
}
