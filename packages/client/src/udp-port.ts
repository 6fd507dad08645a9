import { decodeRendezvous, type Endpoint, encodeRendezvous } from '@tryst/protocol'
import type { CancelTimer, Clock } from './clock.ts'
import type { PunchSocket } from './punch-socket.ts'

/** The question leaves twice, then again after 20 ms, and less and less often. */
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 200
const PAUSE_GROWTH = 1.5
const REQUEST = encodeRendezvous({ testNatRequest: {} })

/**
 * The port that a punch socket has outside, from the ID server's UDP port (docs/protocol.md, NAT test over UDP); 0 when
 * there is no answer within `limitMs`. Takes what arrives at the socket meanwhile.
 */
export function learnUdpPort(
  socket: PunchSocket,
  server: Endpoint,
  {
    clock,
    limitMs,
    signal,
  }: { readonly clock: Clock; readonly limitMs: Promise<number>; readonly signal: AbortSignal },
): Promise<number> {
  return new Promise((resolve) => {
    let pauseMs = FIRST_PAUSE_MS
    let cancelRepeat: CancelTimer | undefined
    let cancelLimit: CancelTimer | undefined
    let isOver = false
    const finish = (port: number) => {
      isOver = true
      cancelRepeat?.()
      cancelLimit?.()
      signal.removeEventListener('abort', giveUp)
      socket.receive(undefined)
      resolve(port)
    }
    const giveUp = () => finish(0)
    if (signal.aborted) return finish(0)
    signal.addEventListener('abort', giveUp)
    void limitMs.then((ms) => {
      if (!isOver) cancelLimit = clock.after(ms, giveUp)
    })
    const ask = () => {
      socket.send(REQUEST, server)
      cancelRepeat = clock.after(pauseMs, ask)
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * PAUSE_GROWTH)
    }
    // A server with several addresses may answer from another one than was asked.
    socket.receive((datagram) => {
      const port = portIn(datagram)
      if (port > 0) finish(port)
    })
    socket.send(REQUEST, server)
    ask()
  })
}

function portIn(datagram: Uint8Array): number {
  try {
    return decodeRendezvous(datagram).testNatResponse?.port ?? 0
  } catch {
    return 0
  }
}
