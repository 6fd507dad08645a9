/** Random numbers of the platform's Web Crypto, which Node and browsers share. */
export const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))

const DRAWN_BITS = 48
const DRAWN_VALUES = 2 ** DRAWN_BITS

/** A whole number from `from` to just below `to`, each as likely as the others; they are at most 2^48. */
export function randomInteger(from: number, to: number): number {
  const span = to - from
  // Values beyond the last whole span would make small results likelier.
  const usable = DRAWN_VALUES - (DRAWN_VALUES % span)
  for (;;) {
    const value = randomBytes(DRAWN_BITS / 8).reduce((sum, byte) => sum * 256 + byte, 0)
    if (value < usable) return from + (value % span)
  }
}
