import type { Socket } from 'node:net'
import type { Endpoint } from '@tryst/protocol'
import { ConnectionGuard, type Displaceable } from './connection-guard.ts'
import { type BrokenProxyHeader, readProxyHeader } from './proxy-protocol.ts'
import { addressMatcher } from './trusted-addresses.ts'

/** Why a connection of a trusted proxy was closed before it had said whose it is. */
export type ProxyHeaderFailure = BrokenProxyHeader | 'ended_early' | 'timeout' | 'displaced'

export const PROXY_HEADER_FAILURES = [
  'no_header',
  'too_long',
  'malformed',
  'ended_early',
  'timeout',
  'displaced',
] as const satisfies readonly ProxyHeaderFailure[]

/** What an operator can do. */
export const PROXY_HEADER_REMEDY =
  'let the load balancer send PROXY protocol headers (HAProxy: send-proxy-v2), name nobody else in TRUSTED_PROXIES, or leave PROXY_PROTOCOL out'

export interface AwaitedHeadersOptions {
  /** Networks of the proxies whose connections begin with a header; those of all others do not. */
  readonly trustedProxies: readonly string[]
  /** For the whole header, however slowly it trickles. */
  readonly timeoutMs: number
  /** A connection of this proxy was closed because of its header. */
  readonly onFailure: (failure: ProxyHeaderFailure, proxyIp: string) => void
}

/** A header that has arrived. */
export interface Introduction {
  /** The client; the proxy itself where it speaks for nobody else. */
  readonly remote: Endpoint
  /** What came behind the header in the last piece: the client's, in the memory of that piece. */
  readonly rest: Uint8Array
  /** Milliseconds since the connection was accepted. */
  readonly ageMs: number
}

/** Connections whose header has not come yet. Proxies send it at once. */
const MAX_PENDING = 10_000

/**
 * Connections of trusted proxies, which tell in a header of the PROXY protocol whose they are. Nothing else of such a
 * connection is believed before: without a header it is closed.
 */
export class AwaitedHeaders {
  readonly #isTrusted: (ip: string) => boolean
  readonly #guard = new ConnectionGuard<AwaitedHeader>({
    perSource: MAX_PENDING,
    total: MAX_PENDING,
    isExempt: () => true,
  })

  constructor(private readonly options: AwaitedHeadersOptions) {
    this.#isTrusted = addressMatcher(options.trustedProxies)
  }

  get pending(): number {
    return this.#guard.connections
  }

  /** Whether a connection from this address begins with a header. */
  isExpectedFrom(ip: string): boolean {
    return this.#isTrusted(ip)
  }

  /** @param socket what is read from it goes to `take` of what is returned, until that has an answer */
  await(socket: Socket, proxy: Endpoint): AwaitedHeader {
    const { timeoutMs, onFailure } = this.options
    const awaited: AwaitedHeader = new AwaitedHeader(socket, proxy, {
      timeoutMs,
      onFailure,
      onSettled: () => this.#guard.remove(awaited),
    })
    this.#guard.admit(awaited, proxy.ip)
    return awaited
  }

  /** Ends the connections that have not said whose they are. May be called twice. */
  close(): void {
    for (const awaited of [...this.#guard]) awaited.abandon()
  }
}

interface Ways {
  readonly timeoutMs: number
  readonly onFailure: AwaitedHeadersOptions['onFailure']
  readonly onSettled: () => void
}

/** One connection whose header has not come yet. */
export class AwaitedHeader implements Displaceable {
  readonly #socket: Socket
  readonly #proxy: Endpoint
  readonly #ways: Ways
  readonly #acceptedAt = performance.now()
  readonly #deadline: NodeJS.Timeout
  #received: Uint8Array = new Uint8Array(0)
  #isSettled = false

  constructor(socket: Socket, proxy: Endpoint, ways: Ways) {
    this.#socket = socket
    this.#proxy = proxy
    this.#ways = ways
    this.#deadline = setTimeout(() => this.#fail('timeout'), ways.timeoutMs)
    socket.on('error', ignoreReset)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
  }

  /** Bytes as they arrive. Undefined: more have to come, or the connection was closed. */
  take(bytes: Uint8Array): Introduction | undefined {
    if (this.#isSettled) return undefined
    const before = this.#received.length
    // What arrives is read into memory that is used again.
    const received = before === 0 ? bytes : Buffer.concat([this.#received, bytes])
    const reading = readProxyHeader(received)
    if (reading === 'incomplete') {
      this.#received = Uint8Array.from(received)
      return undefined
    }
    if (typeof reading === 'string') {
      this.#fail(reading)
      return undefined
    }
    this.#settle()
    const rest = bytes.subarray(reading.length - before)
    return { remote: reading.source ?? this.#proxy, rest, ageMs: performance.now() - this.#acceptedAt }
  }

  /** Another one takes its place. */
  destroy(): void {
    this.#fail('displaced')
  }

  /** Closes the connection; nobody is to blame. */
  abandon(): void {
    this.#settle()
    this.#socket.destroy()
  }

  #fail(failure: ProxyHeaderFailure): void {
    if (this.#isSettled) return
    this.abandon()
    this.#ways.onFailure(failure, this.#proxy.ip)
  }

  /** From here on the socket is somebody else's. */
  #settle(): void {
    this.#isSettled = true
    clearTimeout(this.#deadline)
    this.#received = new Uint8Array(0)
    this.#socket.off('end', this.#onEnd)
    this.#socket.off('close', this.#onClose)
    this.#ways.onSettled()
  }

  /** Health checks of proxies connect, and leave without a word. */
  readonly #onEnd = (): void => (this.#received.length === 0 ? this.abandon() : this.#fail('ended_early'))
  readonly #onClose = (): void => this.#onEnd()
}

/** 'close' follows and says all there is to say. */
const ignoreReset = () => undefined
