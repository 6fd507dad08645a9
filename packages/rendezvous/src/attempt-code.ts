/** Digits and capitals without I, L, O and U: what is read out or copied by hand is not mistaken. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const LENGTH = 6
const BITS = 5

/** Of 32 random bits those that a code has room for. */
export const ATTEMPT_CODE_MASK = 2 ** (LENGTH * BITS) - 1

/** A code as people see it: six characters. */
export function formatAttemptCode(code: number): string {
  let text = ''
  for (let shift = (LENGTH - 1) * BITS; shift >= 0; shift -= BITS) text += ALPHABET.charAt((code >>> shift) & 31)
  return text
}

/** A code as somebody has typed it; undefined: it is none. */
export function readAttemptCode(typed: string): string | undefined {
  const text = typed.trim().toUpperCase().replaceAll('O', '0').replaceAll(/[IL]/g, '1')
  return text.length === LENGTH && [...text].every((character) => ALPHABET.includes(character)) ? text : undefined
}

/**
 * A text that a client shows, with what its user can tell the operator. No code holds a word after which clients do not
 * try again by themselves.
 */
export function withAttemptCode(text: string, attempt: { readonly code: number } | undefined): string {
  return attempt ? `${text} (${formatAttemptCode(attempt.code)})` : text
}
