/** Time as the core sees it; a test gives its own. */
export interface Clock {
  /** Milliseconds that only go forward. */
  now(): number
  /** Runs once after the delay, unless it is cancelled. */
  after(delayMs: number, run: () => void): Timer
}

export interface Timer {
  cancel(): void
}
