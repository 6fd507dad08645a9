import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** The device that a health check's controller half names. */
export const HEALTH_DEVICE = 'health'

const PREFIX = 'health-'
const NONCE_BYTES = 8
const NAME = /^health-([0-9a-f]{16})-([0-9a-f]{64})$/

/**
 * The name of a session by which a check of health passes through a relay that carries only what was introduced: whoever
 * holds the server's secret key can make one, nobody else.
 *
 * @param secretKey without one the name proves nothing, which is enough for a relay without tickets
 */
export function healthSessionName(secretKey: Uint8Array | undefined): string {
  const nonce = randomBytes(NONCE_BYTES).toString('hex')
  return `${PREFIX}${nonce}-${secretKey ? proofOf(secretKey, nonce).toString('hex') : '0'.repeat(64)}`
}

/** Whether a session was named by somebody who holds this key. */
export function isHealthSession(name: string, secretKey: Uint8Array): boolean {
  const [, nonce, proof] = NAME.exec(name) ?? []
  if (nonce === undefined || proof === undefined) return false
  return timingSafeEqual(proofOf(secretKey, nonce), Buffer.from(proof, 'hex'))
}

/** Whether a session is called like one of a health check; anybody may call one so. */
export const looksLikeHealthSession = (name: string): boolean => NAME.test(name)

const proofOf = (secretKey: Uint8Array, nonce: string): Buffer =>
  createHmac('sha256', secretKey).update(`tryst health session ${nonce}`).digest()
