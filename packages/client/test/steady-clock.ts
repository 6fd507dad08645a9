import type { Clock } from '../src/clock.ts'

/** Each turn lasts about a millisecond of real time, so waits take an eighth of what they take in life. */
const TURN_MS = 8

/**
 * A clock that advances by a fixed step in every turn of the event loop. When the machine is busy, its time passes more
 * slowly instead of by leaps, so the pace of both sides of a connection in this process can be measured exactly.
 */
export class SteadyClock implements Clock {
  #nowMs = 0
  #timers: { dueMs: number; action: () => void }[] = []
  #turn: NodeJS.Timeout | undefined

  constructor() {
    this.#scheduleTurn()
  }

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, action }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  stop(): void {
    clearTimeout(this.#turn)
  }

  #scheduleTurn(): void {
    this.#turn = setTimeout(() => {
      this.#nowMs += TURN_MS
      const due = this.#timers.filter(({ dueMs }) => dueMs <= this.#nowMs)
      this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.#nowMs)
      for (const { action } of due.sort((a, b) => a.dueMs - b.dueMs)) action()
      this.#scheduleTurn()
    }, 1)
  }
}
