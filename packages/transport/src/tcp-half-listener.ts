import { createServer, type Server, type Socket } from 'node:net'
import { normaliseIp } from '@tryst/protocol'
import { sourcePrefix } from '@tryst/rendezvous'
import type { HalfGuard } from './half-guard.ts'
import { type ListenPlace, listenEverywhere, portOf } from './listen-everywhere.ts'
import type { SocketReading } from './socket-reading.ts'
import { TcpHalf } from './tcp-half.ts'

export interface TcpHalfListenerOptions extends ListenPlace {
  readonly reading: SocketReading
  readonly guard: HalfGuard
  /** Whether connections from this address are closed without a word. */
  readonly refuses: (ip: string) => boolean
  /** Takes a connection over before anything is read from it, when it returns true. */
  readonly divert: (socket: Socket, ip: string) => boolean
  readonly onOpen: (half: TcpHalf) => void
  /** Called once when `pooled` was asked for and cannot be had. */
  readonly onPortable: () => void
  /** An error of the listener while it runs. */
  readonly onError: (error: Error) => void
}

/** The relay's TCP port. */
export class TcpHalfListener {
  private constructor(private readonly server: Server) {}

  /** @throws the listen error of Node */
  static async open(options: TcpHalfListenerOptions): Promise<TcpHalfListener> {
    const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true, highWaterMark: 1 })
    let reading = options.reading
    server.on('connection', (socket) => {
      const half = accept(socket, options)
      if (!half || half.reading === reading) return
      reading = half.reading
      options.onPortable()
    })
    await listenEverywhere(server, options)
    server.on('error', options.onError)
    return new TcpHalfListener(server)
  }

  get port(): number {
    return portOf(this.server)
  }

  /** Accepts nobody any more and frees the port; connections stay. May be called twice. */
  close(): void {
    this.server.close()
  }
}

/** Undefined: the connection went no further. */
function accept(socket: Socket, options: TcpHalfListenerOptions): TcpHalf | undefined {
  const { remoteAddress, remotePort } = socket
  // The client may have gone before it was accepted.
  if (remoteAddress === undefined) {
    socket.destroy()
    return undefined
  }
  const ip = normaliseIp(remoteAddress)
  if (options.divert(socket, ip)) {
    socket.resume()
    return undefined
  }
  if (options.refuses(ip)) {
    socket.destroy()
    return undefined
  }
  const { guard, reading } = options
  const half = new TcpHalf(socket, { remote: { ip, port: remotePort ?? 0 }, source: sourcePrefix(ip), reading, guard })
  if (guard.admit(half, ip)) options.onOpen(half)
  else half.destroy()
  return half
}
