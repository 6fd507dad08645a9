/** Middle of the values; of an even number the mean of the two in the middle. NaN when there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** The value that the given share of the sorted values does not exceed. NaN when there are none. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))
  return sorted[index] ?? Number.NaN
}

/** Milliseconds, in any order, as the microseconds in the middle and of the slowest in a hundred. */
export function durationsOf(milliseconds: readonly number[]): { readonly p50Us: number; readonly p99Us: number } {
  const sorted = milliseconds.map((ms) => ms * 1000).toSorted((a, b) => a - b)
  return { p50Us: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) }
}
