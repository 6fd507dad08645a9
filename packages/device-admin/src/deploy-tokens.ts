import { createHash, randomBytes } from 'node:crypto'

/** Enough that nobody guesses one, however often. */
const TOKEN_BYTES = 24
const NAME_BYTES = 4
/** So that whoever finds one in a script knows what it is. */
const PREFIX = 'tryst_'

/** A new token; it is shown once and stored nowhere. */
export const drawToken = (): string => PREFIX + randomBytes(TOKEN_BYTES).toString('base64url')

export const drawTokenName = (): string => randomBytes(NAME_BYTES).toString('hex')

/** What is stored of a token. It is long and random, so that no slow hash is needed. */
export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex')
