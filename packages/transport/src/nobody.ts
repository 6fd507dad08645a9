import type { HalfListener } from '@tryst/relay'

/** Throws away what arrives for a half that is closing. */
export const NOBODY: HalfListener = Object.freeze({
  onBytes: () => true,
  onActivity: () => undefined,
  onDrain: () => undefined,
  onOversized: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
})
