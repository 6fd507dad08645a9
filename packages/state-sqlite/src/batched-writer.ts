import type { DatabaseSync } from 'node:sqlite'

interface Operation {
  /** What it does inside the transaction; keeps its result until `resolve`. */
  readonly run: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A transaction holds up the process while it runs: about 10 ms for this many registrations. */
const MAX_BATCH = 1_000

/**
 * Gathers what is written during one turn of the event loop into one transaction. A write is acknowledged when its
 * transaction is committed; if that fails, every write in it fails.
 */
export class BatchedWriter {
  readonly #db: DatabaseSync
  #queue: Operation[] = []
  #keys = new Set<string>()
  #scheduled: NodeJS.Immediate | undefined

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** Whether something with this key may still wait for its transaction. */
  isPending(key: string): boolean {
    return this.#keys.has(key)
  }

  /** Runs `action` in the transaction of this turn, behind what was handed over before. */
  run<T>(key: string, action: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let result: { value: T } | undefined
    this.#queue.push({
      run: () => {
        result = { value: action() }
      },
      resolve: () => result && resolve(result.value),
      reject,
    })
    this.#keys.add(key)
    this.#schedule()
    return promise
  }

  /** Commits all that waits, now. */
  flush(): void {
    clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    while (this.#queue.length > 0) this.#commitNextBatch()
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined
      this.#commitNextBatch()
    })
  }

  #commitNextBatch(): void {
    const batch = this.#queue.splice(0, MAX_BATCH)
    if (this.#queue.length === 0) this.#keys.clear()
    else this.#schedule()
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      for (const { run } of batch) run()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#rollBack()
      for (const { reject } of batch) reject(error)
      return
    }
    for (const { resolve } of batch) resolve()
  }

  #rollBack(): void {
    // Some failures have rolled back by themselves.
    if (!this.#db.isTransaction) return
    try {
      this.#db.exec('ROLLBACK')
    } catch {
      // The next batch can't begin then, fails likewise and tries again; nothing of either is acknowledged.
    }
  }
}
