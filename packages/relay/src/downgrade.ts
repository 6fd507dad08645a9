export interface DowngradeFacts {
  readonly ageMs: number
  readonly totalBits: number
  readonly startSeconds: number
  /** Bits per millisecond of life that are allowed on average. */
  readonly thresholdBitsPerMs: number
}

/**
 * Whether a pair has used so much for so long that it is slowed down for the rest of its life. Looks at the pair
 * alone, not at the load of the relay.
 */
export const isOveruse = ({ ageMs, totalBits, startSeconds, thresholdBitsPerMs }: DowngradeFacts): boolean =>
  ageMs > startSeconds * 1000 && totalBits > ageMs * thresholdBitsPerMs
