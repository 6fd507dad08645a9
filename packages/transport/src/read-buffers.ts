/** Sizes of the buffers that sockets read into: what is lent to a socket depends on how much it reads at a time. */
export const MEDIUM_READ_BYTES = 32 * 1024
export const LARGE_READ_BYTES = 256 * 1024
export type BufferSize = typeof MEDIUM_READ_BYTES | typeof LARGE_READ_BYTES

/** Free buffers beyond this are left to the garbage collector, so that a rush leaves nothing behind. */
const MAX_FREE_BYTES = 16 * 1024 * 1024

const freeMedium: Buffer[] = []
const freeLarge: Buffer[] = []
const freeOf = (size: number) => (size === LARGE_READ_BYTES ? freeLarge : freeMedium)
let freeBytes = 0

/** A buffer for one socket alone, last used first: it may still be in the processor's cache. */
export function takeReadBuffer(size: BufferSize): Buffer {
  const buffer = freeOf(size).pop()
  if (!buffer) return Buffer.allocUnsafeSlow(size)
  freeBytes -= size
  return buffer
}

/** Gives a buffer back that nothing reads from or writes to any more. */
export function returnReadBuffer(buffer: Buffer): void {
  if (freeBytes + buffer.length > MAX_FREE_BYTES) return
  freeOf(buffer.length).push(buffer)
  freeBytes += buffer.length
}
