import type { Owner, RedisView } from './redis-view.ts'

const LOOK_EVERY_MS = 50

/**
 * Looks again and again at who Redis names for each device. A record names one node at a time; what would give two to a
 * device is a record that goes back to a node which had lost it, or that changes without a newer version.
 */
export class OwnerWatch {
  readonly #faults: string[] = []
  readonly #last = new Map<string, Owner>()
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  private constructor(
    private readonly view: RedisView,
    private readonly ids: readonly string[],
  ) {}

  static begin(view: RedisView, ids: readonly string[]): OwnerWatch {
    const watch = new OwnerWatch(view, ids)
    watch.#look()
    return watch
  }

  /** @returns what was wrong */
  stop(): readonly string[] {
    this.close()
    return this.#faults
  }

  /** May be called twice. */
  close(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }

  #look(): void {
    this.view
      .owners(this.ids)
      .then((owners) => this.#compare(owners))
      .catch((error: unknown) => {
        if (!this.#isOver) this.#faults.push(`Redis did not say who owns what: ${error}`)
      })
      .finally(() => {
        if (!this.#isOver) this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS)
      })
  }

  #compare(owners: ReadonlyMap<string, Owner>): void {
    for (const [id, owner] of owners) {
      const before = this.#last.get(id)
      this.#last.set(id, owner)
      if (!before || before.node === owner.node) continue
      if (owner.version <= before.version)
        this.#faults.push(
          `${id} went from ${before.node} to ${owner.node}, version ${before.version} to ${owner.version}`,
        )
    }
  }
}
