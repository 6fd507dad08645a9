const BITS_PER_MEGABIT = 1024 * 1024

/**
 * Most that a relay is announced to carry where the operator says nothing.
 *
 * One core of the machine that this was measured on moves 24 Gbit/s between connections in large reads, 64 sessions at
 * once, and 5 Gbit/s in messages of 8 KiB, both on loopback (docs/operating.md, capacity). This is what is left of the
 * latter with a fifth in reserve.
 */
export const MAX_DEFAULT_CAPACITY_MEGABITS = 4_000

/** @param totalMegabits the limit of all sessions together, which nothing goes beyond */
export function capacityBitsPerSecond(
  configuredMegabits: number | undefined,
  { totalMegabits }: { readonly totalMegabits: number },
): number {
  return (configuredMegabits ?? Math.min(totalMegabits, MAX_DEFAULT_CAPACITY_MEGABITS)) * BITS_PER_MEGABIT
}
