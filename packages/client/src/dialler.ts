import type { Clock } from './clock.ts'
import type { Link } from './link.ts'
import type { PunchSocket, PunchSocketOptions } from './punch-socket.ts'
import type { HostPort } from './service-address.ts'

export interface DialOptions {
  readonly clock: Clock
  readonly limitMs: number
  /** Address to bind. Default: any of the target's family. */
  readonly localAddress?: string | undefined
  /** Port to bind; a port that another connection of ours uses is fine as long as nobody listens on it. */
  readonly localPort?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** How connections come about on a platform. Links throw LinkError when refused, out of time or aborted. */
export interface Dialler {
  tcp(target: HostPort, options: DialOptions): Promise<Link>
  /** @param url `ws://` or `wss://` */
  webSocket(url: string, options: DialOptions): Promise<Link>
  /** Not there: the platform has no UDP. */
  punchSocket?(options: PunchSocketOptions): Promise<PunchSocket>
}
