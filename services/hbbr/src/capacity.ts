/**
 * What a relay is announced to carry where the operator says nothing, both directions together.
 *
 * One core moves 20 Gbit/s between connections of one machine in large reads, and 5 Gbit/s in messages of 8 KiB. A fifth of
 * the latter is left: what a usual network card carries, with the rest of the core for many small messages, many
 * sessions, and whatever else runs there.
 */
export const DEFAULT_CAPACITY_MEGABITS = 1_000

const BITS_PER_MEGABIT = 1_000_000

/** @param totalBitsPerSecond the limit of all sessions together, in each direction */
export function capacityBitsPerSecond(megabits: number | undefined, totalBitsPerSecond: number): number {
  if (megabits !== undefined) return megabits * BITS_PER_MEGABIT
  return Math.min(DEFAULT_CAPACITY_MEGABITS * BITS_PER_MEGABIT, 2 * totalBitsPerSecond)
}
