import { AdministrationError, type RefusalCode } from './administration.ts'

/** Where the ID server listens, in its working directory, and where programs look for it. */
export const ADMIN_SOCKET = 'admin.sock'

/**
 * HTTP over a Unix socket, which only the user of the server may open: one POST for each method of Administration, its
 * arguments as a JSON object, its result as JSON. `list` answers with one JSON object on each line.
 */
export const ADMIN_PATHS = {
  list: '/v1/devices/list',
  approve: '/v1/devices/approve',
  refuse: '/v1/devices/refuse',
  invite: '/v1/devices/invite',
  remove: '/v1/devices/remove',
  rename: '/v1/devices/rename',
  note: '/v1/devices/note',
  deploy: '/v1/devices/deploy',
  createToken: '/v1/deploy-tokens/create',
  tokens: '/v1/deploy-tokens/list',
  revokeToken: '/v1/deploy-tokens/revoke',
} as const

/** What a refusal looks like on the wire. */
export interface AdminRefusal {
  readonly error: string
  readonly code: RefusalCode
}

export const REFUSAL_STATUS: Readonly<Record<RefusalCode, number>> = {
  'not-found': 404,
  ambiguous: 409,
  taken: 409,
  invalid: 400,
  unavailable: 503,
}

/** A refusal from the other end of the socket. */
export function asAdministrationError(body: unknown, status: number): AdministrationError {
  const { error, code } = (typeof body === 'object' && body !== null ? body : {}) as Partial<AdminRefusal>
  const isKnown = code !== undefined && code in REFUSAL_STATUS
  return new AdministrationError(isKnown ? code : 'invalid', error ?? `the ID server answered with status ${status}`)
}
