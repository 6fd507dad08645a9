/**
 * Whether a client presents the key that is expected. Compares without telling by its duration where two keys differ.
 */
export function isSameKey(expected: string, presented: string): boolean {
  let difference = expected.length ^ presented.length
  for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ presented.charCodeAt(i)
  return difference === 0
}
