import type { FastifyInstance, FastifyRequest } from 'fastify'
import { invalidToken } from './api-error.ts'
import type { Accounts } from './ports.ts'

/** `Bearer` with nothing behind it is what clients send that are logged out. */
export const tokenOf = ({ headers }: FastifyRequest) => /^Bearer (\S{1,256})$/.exec(headers.authorization ?? '')?.[1]

/** Lets nobody without a session come to the routes of this subject, before anything of their body is read. */
export function requireSession(app: FastifyInstance, accounts: Accounts): void {
  app.addHook('onRequest', async (request) => {
    const token = tokenOf(request)
    if (token === undefined || !(await accounts.findSession(token))) throw invalidToken()
  })
}
