import type { Socket } from 'node:dgram'

/** The handle of a UDP socket inside Node, as far as it is used here. */
interface UdpHandle {
  recvStart(): number
  recvStop(): number
}

/** A socket that can be told not to wake us for a while. */
export interface Pausable {
  pause(): void
  resume(): void
}

/** Undefined where Node's inside is not what it was: there is no documented way. The socket must be bound. */
export function pausable(socket: Socket): Pausable | undefined {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol')
  const { handle } = (state ? (socket as unknown as Record<symbol, { handle?: Partial<UdpHandle> }>)[state] : {}) ?? {}
  if (typeof handle?.recvStart !== 'function' || typeof handle.recvStop !== 'function') return undefined
  const { recvStart, recvStop } = handle
  return { pause: () => void recvStop.call(handle), resume: () => void recvStart.call(handle) }
}
