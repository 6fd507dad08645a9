import type { Namespace } from '../src/site/namespace.ts'
import type { RouterKind } from './behaviour.ts'
import { BRIDGE, Network, type Prefixes } from './network.ts'

export interface RouterOptions {
  readonly namespace: Namespace
  readonly kind: RouterKind
  /** The network that it translates to, and its place there. */
  readonly upstream: Network
  readonly host: number
  /** The network behind it. */
  readonly prefixes: Prefixes
  readonly forwarding?: PortForwarding
  /**
   * Whether packets of TCP have to continue what came before, as Linux has it. Home routers mostly don't care, since
   * their hardware passes packets on. Default: `ignored`.
   */
  readonly sequenceNumbers?: 'checked' | 'ignored'
}

/** What arrives from outside for ports of an ID server goes to a machine behind the router. */
export interface PortForwarding {
  readonly toHost: number
  /** What comes from inside for the router's public address is turned around, too. */
  readonly hairpin: boolean
}

/** A router: translates IPv4 in the way of its kind, and lets IPv6 in only as an answer. */
export class Router {
  private constructor(
    readonly namespace: Namespace,
    readonly network: Network,
    /** What the network above sees. */
    readonly outsideIp: string,
  ) {}

  /** Makes a machine that has no networks yet a router. */
  static install(options: RouterOptions): Router {
    const { namespace, upstream, host, prefixes, kind, forwarding, sequenceNumbers = 'ignored' } = options
    upstream.attach(namespace, host)
    const network = Network.make(namespace, prefixes, (ipv6) => upstream.route(ipv6, host))
    upstream.route(`${prefixes.ipv6}::/64`, host)
    const outside = upstream.interfaceName
    namespace.run('sysctl', '-qw', `net.netfilter.nf_conntrack_tcp_be_liberal=${sequenceNumbers === 'ignored' ? 1 : 0}`)
    namespace.nft(TRANSLATION[kind](outside))
    namespace.nft(ipv6Firewall(outside))
    if (forwarding) {
      const { toHost, hairpin } = forwarding
      namespace.nft(portForwarding({ outside, outsideIp: upstream.ipv4(host), to: network.ipv4(toHost), hairpin }))
    }
    return new Router(namespace, network, upstream.ipv4(host))
  }
}

/**
 * The router itself answers nobody outside. Otherwise a packet of the peer that comes before ours becomes a connection
 * with the router, which takes the port that ours needs.
 */
const closedRouter = (outside: string) => `
  chain own { type filter hook input priority filter; iifname "${outside}" ct state { new, invalid } drop; }`

/** A port keeps its number outside, whoever it sends to; whoever answers is let in by the rules of `letIn`. */
const cone = (outside: string, letIn: string) => `table ip translation {
  map udp_ports { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
  map tcp_ports { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
  set sent_to { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags dynamic,timeout; timeout 5m; size 65535; }
  chain in { type nat hook prerouting priority dstnat;
    iifname "${outside}" dnat ip to udp dport map @udp_ports
    iifname "${outside}" dnat ip to tcp dport map @tcp_ports
  }
  chain out { type nat hook postrouting priority srcnat;
    oifname "${outside}" meta l4proto udp update @udp_ports { udp sport : ip saddr . udp sport }
    oifname "${outside}" meta l4proto tcp update @tcp_ports { tcp sport : ip saddr . tcp sport }
    oifname "${outside}" masquerade
  }
  chain through { type filter hook forward priority filter;
    oifname "${outside}" update @sent_to { ip saddr . meta l4proto . th sport . ip daddr }
    ${letIn}
  }${closedRouter(outside)}
}`

/** The kernel's own way: what arrives is let in only as part of a connection that began inside. */
const connections = (outside: string, masquerade: string) => `table ip translation {
  chain out { type nat hook postrouting priority srcnat; oifname "${outside}" ${masquerade}; }
  chain through { type filter hook forward priority filter;
    iifname "${outside}" ct state established,related accept
    iifname "${outside}" ct status dnat accept
    iifname "${outside}" drop
  }${closedRouter(outside)}
}`

const TRANSLATION: Readonly<Record<RouterKind, (outside: string) => string>> = {
  'full-cone': (outside) => cone(outside, ''),
  'address-restricted': (outside) =>
    cone(
      outside,
      `iifname "${outside}" ct state established,related accept
    iifname "${outside}" ip daddr . meta l4proto . th dport . ip saddr @sent_to accept
    iifname "${outside}" drop`,
    ),
  'port-restricted': (outside) => connections(outside, 'masquerade'),
  symmetric: (outside) => connections(outside, 'masquerade random'),
}

const ipv6Firewall = (outside: string) => `table ip6 firewall {
  chain through { type filter hook forward priority filter;
    iifname "${outside}" ct state established,related accept
    iifname "${outside}" drop
  }
}`

interface Forwarding {
  readonly outside: string
  readonly outsideIp: string
  readonly to: string
  readonly hairpin: boolean
}

function portForwarding({ outside, outsideIp, to, hairpin }: Forwarding): string {
  const arriving = hairpin ? `ip daddr ${outsideIp}` : `iifname "${outside}"`
  // Turned around, a packet has to look as if it came from the router: else the answer takes the short way, unknown to it.
  const turnedAround = hairpin ? `iifname "${BRIDGE}" oifname "${BRIDGE}" masquerade` : ''
  return `table ip forwarding {
  chain in { type nat hook prerouting priority dstnat - 1;
    ${arriving} tcp dport 21115-21119 dnat to ${to}
    ${arriving} udp dport 21116 dnat to ${to}
  }
  chain out { type nat hook postrouting priority srcnat - 1; ${turnedAround}; }
}`
}
