import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  decodeRendezvous,
  encodeFrame,
  encodeRendezvous,
  FrameDecoder,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { answerKeyExchange, createBoxKeyPair, createSessionKey, type RecordLayer } from '@tryst/protocol/secure-tcp'

/** A payload, and how long after the connection was there it came. */
export interface Arrived {
  readonly payload: Uint8Array
  readonly atMs: number
}

const LIMIT_MS = 18_000

/** A TCP client that does what it is told, frame by frame. */
export class RawClient {
  readonly connectedMs = performance.now()
  /** How the server ended the connection. */
  end: 'open' | 'ended' | 'reset' = 'open'
  #records: RecordLayer | undefined
  readonly #arrived: Arrived[] = []
  #wake: () => void = () => undefined

  private constructor(readonly socket: Socket) {
    const decoder = new FrameDecoder(1 << 20)
    socket.on('data', (chunk: Uint8Array) => {
      decoder.push(chunk, (payload) => {
        this.#arrived.push({ payload: Uint8Array.from(payload), atMs: performance.now() - this.connectedMs })
        return true
      })
      this.#wake()
    })
    socket.on('error', () => this.#ends('reset'))
    socket.on('close', () => this.#ends('ended'))
  }

  static async connect(port: number, options: { reads?: boolean; localAddress?: string } = {}): Promise<RawClient> {
    const { reads = true, localAddress = '127.0.0.1' } = options
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    await once(socket, 'connect')
    socket.setNoDelay(true)
    const client = new RawClient(socket)
    if (!reads) socket.pause()
    return client
  }

  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  get isEncrypted(): boolean {
    return this.#records !== undefined
  }

  /** Frames that have come and nobody has taken. */
  get untaken(): number {
    return this.#arrived.length
  }

  sendPayload(payload: Uint8Array): void {
    this.socket.write(encodeFrame(payload))
  }

  send(message: OutgoingRendezvousMessage): void {
    const payload = encodeRendezvous(message)
    this.sendPayload(this.#records?.seal(payload) ?? payload)
  }

  /** The next frame as it travelled. @throws when there is none within 18 s, or the connection ends before */
  async next(limitMs = LIMIT_MS): Promise<Arrived> {
    await this.until(() => this.#arrived.length > 0 || this.end !== 'open', 'a frame', limitMs)
    const arrived = this.#arrived.shift()
    if (!arrived) throw new Error(`the connection has ended: ${this.end}`)
    return arrived
  }

  async receive(limitMs = LIMIT_MS): Promise<RendezvousMessage & { readonly atMs: number }> {
    const { payload, atMs } = await this.next(limitMs)
    return Object.assign(decodeRendezvous(this.#records?.open(payload) ?? payload), { atMs })
  }

  /** Waits for the offer and takes it. @returns when the offer came @throws what a client makes of a wrong one */
  async secure(serverKey: Uint8Array): Promise<number> {
    const { payload, atMs } = await this.next()
    const agreed = answerKeyExchange(payload, serverKey, createBoxKeyPair(), createSessionKey())
    if (!agreed) throw new Error('the first frame is no offer')
    this.sendPayload(agreed.answer)
    this.#records = agreed.records
    return atMs
  }

  async closed(): Promise<'ended' | 'reset'> {
    await this.until(() => this.end !== 'open', 'the end of the connection', LIMIT_MS)
    return this.end === 'reset' ? 'reset' : 'ended'
  }

  close(): void {
    this.socket.destroy()
  }

  /** Waits for something that comes with this connection. */
  private async until(condition: () => boolean, what: string, limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs
    while (!condition()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`${what} did not come within ${limitMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #ends(how: 'ended' | 'reset'): void {
    if (this.end === 'open') this.end = how
    this.#wake()
  }
}

/** Waits for something that no connection tells of. */
export async function eventually(condition: () => boolean, what: string, limitMs = 5_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
