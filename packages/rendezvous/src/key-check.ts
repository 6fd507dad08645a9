import { decodeBase64, isSameKey, PUBLIC_KEY_BYTES } from '@tryst/protocol'

/** Whether a controller may ask for devices. @param expected undefined: everybody may */
export const isExpectedKey = (expected: string | undefined, presented: string): boolean =>
  expected === undefined || isSameKey(expected, presented)

/**
 * What a user reads who has the wrong key. Contains "mismatch", on which clients do not retry by themselves. The end of
 * a public key helps to find the right one; a key that is a mere password is not hinted at.
 */
export function keyMismatchText(expected: string): string {
  const remedy =
    'Copy the key that the server prints when it starts into the client: Settings, Network, ID/Relay server.'
  if (decodeBase64(expected)?.length !== PUBLIC_KEY_BYTES) return `Key mismatch. ${remedy}`
  return `Key mismatch: the key of this server ends in ${expected.slice(-6)}. ${remedy}`
}
