/** Bit map of OnlineResponse: the first peer is the most significant bit of the first byte. */
export function onlineBitmap(online: readonly boolean[]): Uint8Array {
  const states = new Uint8Array(Math.ceil(online.length / 8))
  for (const [i, isOnline] of online.entries()) {
    if (isOnline) states[i >> 3] = (states[i >> 3] as number) | (0x80 >> (i & 7))
  }
  return states
}
