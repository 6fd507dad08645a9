import { Line, Place } from './line.ts'

/** How late an idle one may be found. */
const CHECK_EVERY_MS = 100

/** Where the watch keeps its note of one. */
const NOTE = Symbol('note of the idle watch')
type Watched<T> = T & { [NOTE]?: Note<T> }

class Note<T> extends Place<T> {
  activeAt = 0
}

/**
 * Finds what has been idle for too long. One timer for all: those that were active last stand at the end, so that each
 * check looks at the first few only. A timer for every connection costs more than all else that a short one does.
 *
 * Each is watched by one watch at a time, the one that was told last.
 */
export class IdleWatch<T extends object> {
  /** By the time of the last activity, oldest first. */
  readonly #line = new Line<T>()
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly timeoutMs: number,
    private readonly onIdle: (one: T) => void,
    private readonly checkEveryMs = CHECK_EVERY_MS,
  ) {}

  get all(): Iterable<T> {
    return this.#line
  }

  get size(): number {
    return this.#line.length
  }

  /** It is active now; begins to be watched when it was not. */
  touch(one: Watched<T>): void {
    one[NOTE] ??= new Note<T>(one)
    this.#note(one[NOTE], performance.now())
    this.#timer ??= setInterval(() => this.#check(), this.checkEveryMs)
  }

  /** It is watched no more. False when it was not. */
  drop(one: Watched<T>): boolean {
    return one[NOTE] !== undefined && this.#line.remove(one[NOTE])
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const one of this.#line) this.drop(one)
  }

  #note(note: Note<T>, activeAt: number): void {
    note.activeAt = activeAt
    this.#line.append(note)
  }

  #check(): void {
    const idleSince = performance.now() - this.timeoutMs
    for (const one of this.#line as Iterable<Watched<T>>) {
      const note = one[NOTE]
      if (!note || note.activeAt > idleSince) break
      // Told once; it stays watched until it is dropped.
      this.#note(note, Number.POSITIVE_INFINITY)
      this.onIdle(one)
    }
    if (this.#line.length === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }
}
