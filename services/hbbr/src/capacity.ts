const BITS_PER_MEGABIT = 1024 * 1024

/**
 * Most that a relay is announced to carry where the operator says nothing.
 *
 * One core carries 3.6 Gbit/s in messages of 8 KiB, 64 sessions at once, and several times as much in large reads
 * (docs/operating.md, capacity of a relay): this is the former with some room.
 */
export const MAX_DEFAULT_CAPACITY_MEGABITS = 3_000

/** @param totalMegabits the limit of all sessions together, which nothing goes beyond */
export function capacityBitsPerSecond(
  configuredMegabits: number | undefined,
  { totalMegabits }: { readonly totalMegabits: number },
): number {
  return (configuredMegabits ?? Math.min(totalMegabits, MAX_DEFAULT_CAPACITY_MEGABITS)) * BITS_PER_MEGABIT
}
