/** Waits for a condition; `missing` says what is not so yet. */
export async function until(isSo: () => boolean | Promise<boolean>, missing: string, withinMs = 15_000): Promise<void> {
  const giveUpMs = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > giveUpMs) throw new Error(`not within ${withinMs} ms: ${missing}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
