const POLL_MS = 20

/**
 * Waits for a condition.
 *
 * @param what is missing until then: "device 123 is online"
 * @throws Error that names it when `limitMs` are over
 */
export async function waitUntil<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`${what}: not within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** The outcome of `promise`. @throws Error that names `what` when it has none within `limitMs` */
export async function within<T>(what: string, promise: Promise<T>, limitMs = 20_000): Promise<T> {
  const { promise: tooLate, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${limitMs} ms`)), limitMs)
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
