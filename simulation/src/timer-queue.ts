/** A timer of the virtual clock; has what callers of Node's timers expect. */
export class VirtualTimer {
  dueMs: number
  order = 0
  isCancelled = false
  readonly #queue: TimerQueue
  readonly callback: () => void

  constructor(queue: TimerQueue, dueMs: number, callback: () => void) {
    this.#queue = queue
    this.dueMs = dueMs
    this.callback = callback
  }

  cancel(): void {
    this.isCancelled = true
  }

  restart(dueMs: number): void {
    this.dueMs = dueMs
    this.#queue.push(this)
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

/** Timers by the millisecond in which they are due; those of one millisecond in the order in which they were set. */
export class TimerQueue {
  /** A binary heap: no timer is due before its parent, the one at half its place. */
  readonly #heap: VirtualTimer[] = []
  #order = 0

  add(dueMs: number, callback: () => void): VirtualTimer {
    const timer = new VirtualTimer(this, dueMs, callback)
    this.push(timer)
    return timer
  }

  push(timer: VirtualTimer): void {
    timer.order = this.#order++
    const heap = this.#heap
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as VirtualTimer
      if (!isBefore(timer, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = timer
  }

  isDue(nowMs: number): boolean {
    const first = this.#heap[0]
    return first !== undefined && first.dueMs <= nowMs
  }

  /** Runs what is due, what becomes due by that included. */
  runUntil(nowMs: number): void {
    for (let first = this.#heap[0]; first && first.dueMs <= nowMs; first = this.#heap[0]) {
      this.#removeFirst()
      if (!first.isCancelled) first.callback()
    }
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right && isBefore(right, heap[child] as VirtualTimer)) child++
      const below = heap[child] as VirtualTimer
      if (!isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: VirtualTimer, b: VirtualTimer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
