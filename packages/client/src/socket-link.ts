import type { Socket } from 'node:net'
import { type Endpoint, normaliseIp } from '@tryst/protocol'
import type { Clock } from './clock.ts'
import { Inbox, type Received } from './inbox.ts'
import type { Link, LinkTransport } from './link.ts'

/** A peer that does not answer our FIN within this time has its connection cut off; real time, not the clock's. */
const CLOSE_LIMIT_MS = 500

/** What TCP and WebSocket links have in common: everything but how a payload is written and read. */
export abstract class SocketLink implements Link {
  abstract readonly transport: LinkTransport
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly closed: Promise<void>
  protected readonly inbox: Inbox
  #failure: Error | undefined
  #closing: Promise<void> | undefined

  constructor(
    protected readonly socket: Socket,
    clock: Clock,
  ) {
    this.local = { ip: normaliseIp(socket.localAddress ?? '::'), port: socket.localPort ?? 0 }
    this.remote = { ip: normaliseIp(socket.remoteAddress ?? '::'), port: socket.remotePort ?? 0 }
    this.inbox = new Inbox(clock, { pause: () => this.pauseReading(), resume: () => this.resumeReading() })
    socket.setNoDelay(true)
    socket.on('error', (error) => this.fail(error))
    this.closed = new Promise((resolve) => {
      if (socket.closed) resolve()
      socket.once('close', () => {
        this.inbox.end()
        resolve()
      })
    })
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  abstract send(payload: Uint8Array): boolean
  protected abstract pauseReading(): void
  protected abstract resumeReading(): void

  next(limitMs?: number): Promise<Received> {
    return this.inbox.take(limitMs)
  }

  drained(): Promise<void> {
    const { socket } = this
    if (!socket.writableNeedDrain || socket.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        socket.off('drain', done)
        socket.off('close', done)
        resolve()
      }
      socket.on('drain', done)
      socket.on('close', done)
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#endSocket()
    return this.#closing
  }

  /** The stream makes no sense or broke: nothing more is read from it. */
  protected fail(error: Error): void {
    this.#failure ??= error
    this.inbox.end()
    this.socket.destroy()
  }

  #endSocket(): Promise<void> {
    const { socket } = this
    this.inbox.discard()
    if (socket.closed) return this.closed
    const cutOff = setTimeout(() => socket.destroy(), CLOSE_LIMIT_MS)
    socket.end()
    return this.closed.finally(() => clearTimeout(cutOff))
  }
}
