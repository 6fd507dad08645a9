import type { Device } from '@tryst/client'
import type { Finding } from './finding.ts'
import type { TcpAnswer } from './probes/tcp-port.ts'
import type { Target } from './target.ts'

/**
 * What a check may find broken, so that checks that need it are left out: what they would find is a consequence.
 * `device`: ours is registered; `proxy`: the reverse proxy before the WebSocket ports.
 */
export type Part = 'host' | 'idServer' | 'natTest' | 'udp' | 'state' | 'key' | 'device' | 'relay' | 'proxy'

/** Where a client's WebSockets go. */
export interface WebSocketWay {
  readonly scheme: 'ws' | 'wss'
  readonly host: string
  /** Undefined: the scheme's. */
  readonly port: number | undefined
}

/** What earlier checks have learned. */
export interface Known {
  readonly target: Target
  /** The server's address that the checks use. */
  readonly ip: string
  readonly key: { readonly text: string; readonly from: string } | undefined
  readonly answers: ReadonlyMap<number, TcpAnswer>
  /** The reverse proxy; undefined: there is none, as far as we know. */
  readonly proxy: WebSocketWay | undefined
  readonly device: Device | undefined
  /** The relay that the ID server names; undefined: it was not asked. */
  readonly relayServer: string | undefined
  /** What the ID server takes for our address, on its main port. */
  readonly seenIp: string | undefined
  /** The relay serves two halves that no ID server has announced. */
  readonly relayIsOpen: boolean | undefined
  /** Is called when the examination is over, last first. */
  readonly onEnd: (close: () => Promise<unknown>) => void
}

export type Learned = Partial<Omit<Known, 'target' | 'onEnd'>>

/** What a check makes of its facts. */
export interface Verdict {
  readonly findings: readonly Finding[]
  readonly breaks?: readonly Part[]
  readonly learned?: Learned
}

export interface Check {
  readonly name: string
  /** It is left out where one of these is broken. */
  readonly needs: readonly Part[]
  /** False: there is nothing to check. Default: there is. */
  readonly applies?: ((known: Known) => boolean) | undefined
  run(known: Known): Promise<Verdict>
}

/** A check: what it asks of the network, and what it makes of that, apart from each other. */
export function check<Facts>({
  probe,
  judge,
  ...rest
}: Omit<Check, 'run'> & {
  readonly probe: (known: Known) => Promise<Facts>
  readonly judge: (facts: Facts) => Verdict
}): Check {
  return { ...rest, run: async (known) => judge(await probe(known)) }
}
