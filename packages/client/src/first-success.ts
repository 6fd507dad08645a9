/** One way to get something, until `signal` says that it is no longer wanted. */
export type Way<T> = (signal: AbortSignal) => Promise<T>

/**
 * Tries several ways at once and gives what the first successful one got; the others are given up, and what they get
 * all the same is discarded. Rejects with the failure of the first of `ways` when all have failed.
 */
export function firstSuccess<T>(ways: readonly Way<T>[], signal: AbortSignal, discard: (late: T) => void): Promise<T> {
  const giveUps = ways.map(() => new AbortController())
  const attempts = ways.map((way, i) => way(AbortSignal.any([signal, (giveUps[i] as AbortController).signal])))
  return new Promise((resolve, reject) => {
    let winner: number | undefined
    for (const [i, attempt] of attempts.entries()) {
      attempt.then(
        (value) => {
          if (winner !== undefined) return discard(value)
          winner = i
          for (const [k, giveUp] of giveUps.entries()) if (k !== i) giveUp.abort()
          resolve(value)
        },
        () => undefined,
      )
    }
    Promise.any(attempts).catch((all: AggregateError) => reject(all.errors[0]))
  })
}
