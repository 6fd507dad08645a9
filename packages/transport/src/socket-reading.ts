import { Socket } from 'node:net'
import { PooledReader, type ReadListener } from './pooled-reader.ts'

/**
 * How sockets are read. `pooled` reads into buffers that are used again, which costs a third of Node's own way and
 * produces no garbage; Node offers it for outgoing connections (`onread`), and for accepted ones only by a way that is
 * not documented. `portable` uses nothing but 'data' events.
 */
export type SocketReading = 'pooled' | 'portable'

/** A socket whose bytes go to a listener. */
export interface ReadSocket {
  readonly socket: Socket
  readonly reading: SocketReading
  /** Goes on after the listener answered `false`. */
  resume(): void
  /** Most that is read at once; a hint. */
  limitReads(bytes: number): void
  /** Bytes that the kernel has not taken yet, or a number that falls while it takes some. */
  unsentBytes(): number
  /**
   * Stops reading for good; what arrives from now on is for whoever gets the handle, which stays open until the socket is
   * destroyed. Undefined: the socket can't be given away.
   */
  release(): SocketHandle | undefined
}

/** Node's own handle of a TCP socket: what can be sent to another process. */
export interface SocketHandle {
  close(): void
}

/** What Node's own handle of a TCP socket has, as far as it is used here. */
interface TcpHandle extends SocketHandle {
  readonly writeQueueSize?: number
  readonly useUserBuffer?: unknown
}

type WithHandle = { _handle: TcpHandle | null | undefined }

/**
 * Takes over a socket that a server has just accepted with `pauseOnConnect`. The listener gets what arrives from the
 * next turn of the event loop on. Falls back to `portable` where Node's inside is not what it was.
 */
export function readAccepted(accepted: Socket, wanted: SocketReading, listener: ReadListener): ReadSocket {
  const handle = (accepted as unknown as WithHandle)._handle
  if (wanted === 'portable' || typeof handle?.useUserBuffer !== 'function') return readPortably(accepted, listener)
  return readPooled(accepted, handle, listener)
}

/**
 * Moves the handle of an accepted socket to a new one that reads into pooled buffers: the option `handle` of
 * net.Socket is not documented.
 */
function readPooled(accepted: Socket, handle: TcpHandle, listener: ReadListener): ReadSocket {
  ;(accepted as unknown as WithHandle)._handle = null
  const read = readHandle(handle, listener)
  // An empty shell now; the server counts it until it is destroyed.
  accepted.destroy()
  return read
}

/** Reads from a socket of which nothing but Node's handle is there. The listener gets what arrives as above. */
export function readHandle(handle: SocketHandle, listener: ReadListener): ReadSocket {
  const reader = new PooledReader(listener)
  const options = {
    handle,
    allowHalfOpen: true,
    // A writer that has to wait for anything at all hears of it by 'drain'.
    highWaterMark: 1,
    onread: { buffer: () => reader.next(), callback: (length: number) => reader.read(length) },
  }
  const socket = new Socket(options as object)
  socket.once('close', () => reader.closed())
  return {
    socket,
    reading: 'pooled',
    resume() {
      reader.resumed()
      socket.resume()
    },
    limitReads: (bytes) => reader.limit(bytes),
    unsentBytes: () => socket.writableLength + ((socket as unknown as WithHandle)._handle?.writeQueueSize ?? 0),
    release() {
      if (socket.destroyed || socket.readableEnded || socket.writableLength > 0) return undefined
      socket.pause()
      return (socket as unknown as WithHandle)._handle ?? undefined
    },
  }
}

/** The same by documented means. The server must have been made with `highWaterMark: 1`, for 'drain' as above. */
function readPortably(socket: Socket, listener: ReadListener): ReadSocket {
  socket.on('data', (bytes: Buffer) => {
    if (!listener(bytes)) socket.pause()
  })
  socket.resume()
  return {
    socket,
    reading: 'portable',
    resume: () => socket.resume(),
    limitReads: () => undefined,
    unsentBytes: () => socket.writableLength,
    // Node may hold bytes that it has read.
    release: () => undefined,
  }
}
