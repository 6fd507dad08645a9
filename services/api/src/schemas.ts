/** JSON schemas that several subjects share. */

export const ID = { type: 'string', maxLength: 253 } as const
export const UUID = { type: 'string', maxLength: 512 } as const
export const GUID = { type: 'string', maxLength: 64 } as const
export const INT64 = { type: 'integer' } as const

/** An object with these members, of which the named ones must be there; others are dropped. */
export const object = (properties: Record<string, unknown>, ...required: string[]) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
})

export const arrayOf = (items: object, maxItems: number) => ({ type: 'array', items, maxItems })

export const text = (maxLength: number) => ({ type: 'string', maxLength })

export const errorAnswer = {
  description: 'A refusal, in words for the user.',
  ...object({ error: { type: 'string' } }, 'error'),
}

/** Clients take any text at all for a failure here. */
export const emptyAnswer = { description: 'Done; the body is empty.', type: 'null' }

/** What routes for people with a session answer without one. */
export const signedOut = { 401: { ...errorAnswer, description: '`Invalid token`: the client forgets its session.' } }
