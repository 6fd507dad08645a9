const DEADLINE_MS = 10_000
const PAUSE_MS = 5

/** Repeats an expectation until it holds; fails with its last words. For what nodes tell one another in their own time. */
export async function eventually(expectation: () => void | Promise<void>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    try {
      return await expectation()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }
}
