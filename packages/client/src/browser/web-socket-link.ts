import type { Endpoint } from '@tryst/protocol'
import type { Clock } from '../clock.ts'
import type { DialOptions } from '../dialler.ts'
import { Inbox, type Received } from '../inbox.ts'
import type { Link } from '../link.ts'
import { LinkError } from '../link-error.ts'

/** Payloads beyond this wait in memory until `drained()`. */
const HIGH_WATER_BYTES = 1 << 20
/** A browser does not say when its buffer has emptied: we look this often. */
const DRAIN_POLL_MS = 5
/**
 * A browser's WebSocket cannot be paused. Where an application takes its data so slowly that this much waits, the link
 * breaks rather than the page.
 */
const MAX_WAITING_BYTES = 64 << 20

/** A browser tells no addresses. */
const UNKNOWN: Endpoint = { ip: '::', port: 0 }

/** A link over the WebSocket of the platform: that of browsers, which Node has too. */
export class WebSocketLink implements Link {
  readonly transport = 'websocket'
  readonly local = UNKNOWN
  readonly remote = UNKNOWN
  readonly closed: Promise<void>
  readonly #inbox: Inbox
  readonly #webSocket: WebSocket
  #failure: Error | undefined

  /** @param webSocket open, with the binary type `arraybuffer` */
  constructor(webSocket: WebSocket, clock: Clock) {
    this.#webSocket = webSocket
    this.#inbox = new Inbox(clock, { pause: () => undefined, resume: () => undefined })
    webSocket.addEventListener('message', ({ data }) => this.#receive(data))
    this.closed = new Promise((resolve) => {
      webSocket.addEventListener('close', ({ wasClean, code }) => {
        if (!wasClean) this.#failure ??= new Error(`the WebSocket broke (code ${code})`)
        this.#inbox.end()
        resolve()
      })
    })
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  send(payload: Uint8Array): boolean {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return true
    // None of our payloads lies in shared memory, which is what the type of `send` excludes.
    this.#webSocket.send(payload as Uint8Array<ArrayBuffer>)
    return !this.#isFull
  }

  async drained(): Promise<void> {
    while (this.#isFull) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS))
  }

  next(limitMs?: number): Promise<Received> {
    return this.#inbox.take(limitMs)
  }

  close(): Promise<void> {
    this.#inbox.discard()
    this.#webSocket.close()
    return this.closed
  }

  get #isFull(): boolean {
    return this.#webSocket.readyState === WebSocket.OPEN && this.#webSocket.bufferedAmount > HIGH_WATER_BYTES
  }

  #receive(data: unknown): void {
    // A text is none of this protocol; like every foreign payload it is the reader's to refuse.
    this.#inbox.put(data instanceof ArrayBuffer ? new Uint8Array(data) : new TextEncoder().encode(String(data)))
    if (this.#inbox.waitingBytes <= MAX_WAITING_BYTES) return
    this.#failure ??= new Error(`more than ${MAX_WAITING_BYTES} bytes wait for a reader: take them faster`)
    void this.close()
  }
}

/** Connects to `ws://` or `wss://`. @throws LinkError when there is no connection or no upgrade */
export function dialWebSocket(url: string, { clock, limitMs, signal }: DialOptions): Promise<WebSocketLink> {
  return new Promise((resolve, reject) => {
    const webSocket = open(url)
    const settle = () => {
      cancel()
      signal?.removeEventListener('abort', abort)
      webSocket.removeEventListener('close', refuse)
      webSocket.removeEventListener('open', accept)
    }
    const fail = (reason: 'refused' | 'timeout' | 'aborted', cause?: unknown) => {
      settle()
      webSocket.close()
      reject(new LinkError(reason, url, { cause }))
    }
    const abort = () => fail('aborted')
    const refuse = ({ code }: CloseEvent) => fail('refused', new Error(`the WebSocket did not open (code ${code})`))
    const accept = () => {
      settle()
      resolve(new WebSocketLink(webSocket, clock))
    }
    const cancel = clock.after(limitMs, () => fail('timeout'))
    signal?.addEventListener('abort', abort)
    webSocket.addEventListener('close', refuse)
    webSocket.addEventListener('open', accept)
    if (signal?.aborted) abort()
  })
}

/** @throws LinkError when the browser does not even try: a bad URL, or an unencrypted one on an encrypted page */
function open(url: string): WebSocket {
  try {
    const webSocket = new WebSocket(url)
    webSocket.binaryType = 'arraybuffer'
    return webSocket
  } catch (cause) {
    throw new LinkError('refused', url, { cause })
  }
}
