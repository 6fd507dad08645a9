import type { Duplex } from 'node:stream'

/** How long a receiver may take for what was written before the end. */
const FLUSH_MS = 60_000

/**
 * How long the other side may take to close too. Closing at once, with bytes of it unread, would make the kernel send a
 * reset, which destroys what it has not read yet.
 */
const LINGER_MS = 1_000

/**
 * Ends a connection after what was written has left, and forgets it soon afterwards, whatever the other side does. The
 * caller goes on reading and throws away what it reads.
 */
export function closeSoftly(socket: Duplex): void {
  if (socket.destroyed) return
  socket.end()
  let timer = setTimeout(() => socket.destroy(), socket.writableLength > 0 ? FLUSH_MS : LINGER_MS)
  if (!socket.writableFinished) {
    socket.once('finish', () => {
      clearTimeout(timer)
      if (!socket.destroyed) timer = setTimeout(() => socket.destroy(), LINGER_MS)
    })
  }
  socket.once('close', () => clearTimeout(timer))
}
