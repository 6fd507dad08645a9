/** A server cannot be set up; the message says why, and what to do. */
export class InitError extends Error {
  override readonly name = 'InitError'
}
