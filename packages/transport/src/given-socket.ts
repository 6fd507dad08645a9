import { Socket } from 'node:net'
import type { SocketHandle } from './socket-reading.ts'

/** What Node's own handle of a TCP socket has, as far as it is used here. */
interface ReadingHandle extends SocketHandle {
  reading?: boolean
  readStop?(): number
}

type WithHandle = { readonly _handle: ReadingHandle | null | undefined }

/**
 * Stops reading from a socket for good, after what Node has read of it already has gone to those who listen for 'data'.
 * What arrives from now on is for whoever gets the handle, which stays open until the socket is destroyed. Undefined: the
 * socket can't be given away.
 */
export function releaseSocket(socket: Socket): SocketHandle | undefined {
  const handle = (socket as unknown as WithHandle)._handle
  if (typeof handle?.readStop !== 'function' || socket.destroyed || socket.readableEnded) return undefined
  // What waits to be sent would be lost.
  if (socket.writableLength > 0) return undefined
  socket.pause()
  while (socket.readableLength > 0) socket.read()
  // Reading the last of it has begun to read anew, and nothing has arrived since.
  handle.reading = false
  handle.readStop()
  return handle
}

/** The same connection in another process. */
export const givenSocket = (handle: SocketHandle): Socket => new Socket({ handle, allowHalfOpen: true } as object)
