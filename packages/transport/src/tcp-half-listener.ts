import { createServer, type Server, type Socket } from 'node:net'
import { type Endpoint, normaliseIp } from '@tryst/protocol'
import { sourcePrefix } from '@tryst/rendezvous'
import { AwaitedHeaders, type AwaitedHeadersOptions } from './awaited-headers.ts'
import type { HalfGuard } from './half-guard.ts'
import { type ListenPlace, listenEverywhere, portOf } from './listen-everywhere.ts'
import type { ReadListener } from './pooled-reader.ts'
import { type ReadSocket, readAccepted, type SocketReading } from './socket-reading.ts'
import { TcpHalf } from './tcp-half.ts'

export interface TcpHalfListenerOptions extends ListenPlace {
  readonly reading: SocketReading
  readonly guard: HalfGuard
  /** Whether connections from this address are closed without a word. */
  readonly refuses: (ip: string) => boolean
  /** Takes a connection over before anything is read from it, when it returns true. */
  readonly divert: (socket: Socket, ip: string) => boolean
  /** Where proxies tell whose connections theirs are. Those are not diverted. */
  readonly headers?: AwaitedHeadersOptions | undefined
  /** @param ageMs since it was accepted */
  readonly onOpen: (half: TcpHalf, ageMs: number) => void
  /** Called once when `pooled` was asked for and cannot be had. */
  readonly onPortable: () => void
  /** An error of the listener while it runs. */
  readonly onError: (error: Error) => void
}

/** The relay's TCP port. */
export class TcpHalfListener {
  private constructor(
    private readonly server: Server,
    private readonly headers: AwaitedHeaders | undefined,
  ) {}

  /** @throws the listen error of Node */
  static async open(options: TcpHalfListenerOptions): Promise<TcpHalfListener> {
    const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true, highWaterMark: 1 })
    const headers = options.headers && new AwaitedHeaders(options.headers)
    let reading = options.reading
    server.on('connection', (socket) => {
      const got = accept(socket, options, headers)
      if (got === undefined || got === reading) return
      reading = got
      options.onPortable()
    })
    await listenEverywhere(server, options)
    server.on('error', options.onError)
    return new TcpHalfListener(server, headers)
  }

  get port(): number {
    return portOf(this.server)
  }

  /** Accepts nobody any more and frees the port; connections of which it is known whose they are stay. May be called twice. */
  close(): void {
    this.server.close()
    this.headers?.close()
  }
}

/** How the connection is read. Undefined: it went no further. */
function accept(
  socket: Socket,
  options: TcpHalfListenerOptions,
  headers: AwaitedHeaders | undefined,
): SocketReading | undefined {
  const { remoteAddress, remotePort } = socket
  // The client may have gone before it was accepted.
  if (remoteAddress === undefined) {
    socket.destroy()
    return undefined
  }
  const ip = normaliseIp(remoteAddress)
  const remote = { ip, port: remotePort ?? 0 }
  const { reading, refuses } = options
  if (headers?.isExpectedFrom(ip)) return awaitHeader(socket, remote, headers, options)
  if (options.divert(socket, ip)) {
    socket.resume()
    return undefined
  }
  if (refuses(ip)) {
    socket.destroy()
    return undefined
  }
  return serve((listener) => readAccepted(socket, reading, listener), remote, 0, options)
}

function serve(
  read: (listener: ReadListener) => ReadSocket,
  remote: Endpoint,
  ageMs: number,
  { guard, onOpen }: TcpHalfListenerOptions,
): SocketReading {
  const half = new TcpHalf(read, { remote, source: sourcePrefix(remote.ip), guard })
  if (guard.admit(half, remote.ip)) onOpen(half, ageMs)
  else half.destroy()
  return half.reading
}

/** A socket is read in one way from its first byte on; who listens changes when its header has come. */
function awaitHeader(
  accepted: Socket,
  proxy: Endpoint,
  headers: AwaitedHeaders,
  options: TcpHalfListenerOptions,
): SocketReading {
  let listener: ReadListener = (bytes) => {
    const introduction = awaited.take(bytes)
    if (!introduction) return true
    const { remote, rest, ageMs } = introduction
    listener = () => true
    if (options.refuses(remote.ip)) {
      read.socket.destroy()
      return true
    }
    const readOn = (next: ReadListener) => {
      listener = next
      return read
    }
    serve(readOn, remote, ageMs, options)
    return rest.length === 0 || listener(rest)
  }
  const read = readAccepted(accepted, options.reading, (bytes) => listener(bytes))
  const awaited = headers.await(read.socket, proxy)
  return read.reading
}
