import { type Endpoint, formatEndpoint } from '@tryst/protocol'
import type { CancelTimer, Clock } from './clock.ts'
import type { KcpRole } from './kcp/kcp-connection.ts'
import { PACKET_HEADER_BYTES } from './kcp/packet.ts'
import { LinkError } from './link-error.ts'
import type { PunchSocket } from './punch-socket.ts'

/** Empty datagrams open the hole: at once, then after 20 ms, and less and less often. */
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 200
const PAUSE_GROWTH = 1.5
/** Neither side punches for longer. */
export const PUNCH_LIMIT_MS = 20_000

export interface HoleOptions {
  /** The side that connects goes on when it hears anything of the other; the side that accepts waits for the stream. */
  readonly role: KcpRole
  readonly clock: Clock
  readonly limitMs?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Sends empty datagrams to the other peer until one of it arrives. Gives the first that holds more, if that is what
 * came.
 *
 * @throws LinkError when none arrives
 */
export function openHole(socket: PunchSocket, peer: Endpoint, options: HoleOptions): Promise<Uint8Array | undefined> {
  const { role, clock, limitMs = PUNCH_LIMIT_MS, signal } = options
  return new Promise((resolve, reject) => {
    let pauseMs = FIRST_PAUSE_MS
    const settle = () => {
      cancelPunch?.()
      cancelLimit()
      signal?.removeEventListener('abort', abort)
      socket.receive(undefined)
    }
    const fail = (reason: 'timeout' | 'aborted') => {
      settle()
      reject(new LinkError(reason, formatEndpoint(peer)))
    }
    const abort = () => fail('aborted')
    const punch = () => {
      socket.send(new Uint8Array(0), peer)
      cancelPunch = clock.after(pauseMs, punch)
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * PAUSE_GROWTH)
    }
    let cancelPunch: CancelTimer | undefined
    const cancelLimit = clock.after(Math.min(limitMs, PUNCH_LIMIT_MS), () => fail('timeout'))
    signal?.addEventListener('abort', abort)
    if (signal?.aborted) return abort()
    punch()
    socket.receive((datagram, from) => {
      if (from.ip !== peer.ip || from.port !== peer.port) return
      const isStream = datagram.length >= PACKET_HEADER_BYTES
      if (role === 'accept' && !isStream) return
      settle()
      resolve(isStream ? Uint8Array.from(datagram) : undefined)
    })
  })
}
