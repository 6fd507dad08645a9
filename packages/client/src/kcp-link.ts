import { type Endpoint, encodeFrame, FrameDecoder, formatEndpoint } from '@tryst/protocol'
import type { Clock } from './clock.ts'
import { Inbox, type Received } from './inbox.ts'
import { KcpConnection, type KcpEnd, type KcpRole } from './kcp/kcp-connection.ts'
import type { Link } from './link.ts'
import { LinkError } from './link-error.ts'
import { openHole } from './open-hole.ts'
import type { PunchSocket } from './punch-socket.ts'
import { MAX_PAYLOAD_BYTES } from './stock-client.ts'

/** A peer that does not take the end of the stream within this time is left; real time, not the clock's. */
const CLOSE_LIMIT_MS = 500

export interface KcpLinkOptions {
  readonly role: KcpRole
  readonly clock: Clock
  readonly limitMs: number
  readonly signal?: AbortSignal | undefined
}

/** Opens a hole to the other peer and a stream through it. The socket is the link's from here on. @throws LinkError */
export async function openKcpLink(socket: PunchSocket, peer: Endpoint, options: KcpLinkOptions): Promise<KcpLink> {
  const { clock, limitMs, signal } = options
  const beganMs = clock.now()
  try {
    const first = await openHole(socket, peer, options)
    const link = new KcpLink(socket, peer, options)
    if (first) link.input(first)
    return await link.opened({ limitMs: limitMs - (clock.now() - beganMs), signal })
  } catch (error) {
    await socket.close()
    throw error
  }
}

/** Frames over KCP over a punched UDP path. */
class KcpLink implements Link {
  readonly transport = 'kcp'
  readonly local: Endpoint
  readonly closed: Promise<void>
  readonly #connection: KcpConnection
  readonly #inbox: Inbox
  readonly #decoder = new FrameDecoder(MAX_PAYLOAD_BYTES)
  readonly #established = Promise.withResolvers<void>()
  readonly #over = Promise.withResolvers<void>()
  readonly #waitingForRoom = new Set<() => void>()
  readonly #clock: Clock
  #isPaused = false
  #hasPeerEnded = false
  #failure: Error | undefined
  #closing: Promise<void> | undefined

  constructor(
    socket: PunchSocket,
    readonly remote: Endpoint,
    { role, clock }: Pick<KcpLinkOptions, 'role' | 'clock'>,
  ) {
    this.#clock = clock
    this.local = socket.local
    this.closed = this.#over.promise.then(() => socket.close())
    this.#inbox = new Inbox(clock, {
      pause: () => {
        this.#isPaused = true
      },
      resume: () => {
        this.#isPaused = false
        this.#read()
      },
    })
    this.#connection = new KcpConnection(role, clock, (datagram) => socket.send(datagram, remote), {
      established: () => this.#established.resolve(),
      readable: () => this.#read(),
      writable: () => this.#roomForAll(),
      peerEnded: () => {
        this.#hasPeerEnded = true
        this.#read()
      },
      over: (end) => this.#ended(end),
    })
    socket.receive((datagram, from) => {
      if (from.ip === remote.ip && from.port === remote.port) this.#connection.input(datagram)
    })
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  input(datagram: Uint8Array): void {
    this.#connection.input(datagram)
  }

  /** This link, once the other side has agreed. @throws LinkError */
  opened({ limitMs, signal }: { limitMs: number; signal: AbortSignal | undefined }): Promise<KcpLink> {
    return new Promise((resolve, reject) => {
      const fail = (reason: 'timeout' | 'aborted' | 'refused') => {
        settle()
        this.#connection.giveUp()
        reject(new LinkError(reason, formatEndpoint(this.remote)))
      }
      const abort = () => fail('aborted')
      const settle = () => {
        cancel()
        signal?.removeEventListener('abort', abort)
      }
      const cancel = this.#clock.after(Math.max(0, limitMs), () => fail('timeout'))
      signal?.addEventListener('abort', abort)
      if (signal?.aborted) return abort()
      void this.#over.promise.then(() => fail('refused'))
      void this.#established.promise.then(() => {
        settle()
        resolve(this)
      })
    })
  }

  send(payload: Uint8Array): boolean {
    if (this.#closing) return true
    return this.#connection.write(encodeFrame(payload))
  }

  drained(): Promise<void> {
    if (!this.#connection.isFull) return Promise.resolve()
    return new Promise((resolve) => this.#waitingForRoom.add(resolve))
  }

  next(limitMs?: number): Promise<Received> {
    return this.#inbox.take(limitMs)
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  #end(): Promise<void> {
    this.#inbox.discard()
    const cutOff = setTimeout(() => this.#connection.giveUp(), CLOSE_LIMIT_MS)
    this.#connection.end()
    return this.closed.finally(() => clearTimeout(cutOff))
  }

  #read(): void {
    while (!this.#isPaused) {
      const bytes = this.#connection.read()
      if (!bytes) {
        if (this.#hasPeerEnded) this.#inbox.end()
        return
      }
      try {
        this.#decoder.push(bytes, (payload) => {
          this.#inbox.put(payload)
          return true
        })
      } catch (error) {
        this.#failure ??= error as Error
        this.#connection.giveUp()
        return
      }
    }
  }

  #ended(end: KcpEnd): void {
    if (end === 'reset' || end === 'silent') this.#failure ??= new Error(`the other peer is ${WORDS[end]}`)
    this.#inbox.end()
    this.#roomForAll()
    this.#over.resolve()
  }

  #roomForAll(): void {
    for (const resolve of this.#waitingForRoom) resolve()
    this.#waitingForRoom.clear()
  }
}

const WORDS = { reset: 'no longer part of the connection', silent: 'silent' } as const
