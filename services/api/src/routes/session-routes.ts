import type { FastifyInstance, FastifySchema, HTTPMethods } from 'fastify'
import { invalidToken } from '../api-error.ts'
import { signedOut } from '../schemas.ts'

/** A route that only somebody with a session has a use for. */
export interface SessionRoute {
  readonly method: HTTPMethods | HTTPMethods[]
  readonly url: string
  readonly summary: string
  readonly schema?: Pick<FastifySchema, 'params' | 'querystring' | 'body'>
}

/** Routes of a subject that is not kept here yet: there are no sessions, and whoever claims one is told so. */
export function sessionRoutes(app: FastifyInstance, tag: string, routes: readonly SessionRoute[]): void {
  for (const { method, url, summary, schema } of routes) {
    app.route({
      ...{ method, url },
      schema: { ...schema, summary, tags: [tag], security: [{ session: [] }], response: signedOut },
      handler: async () => {
        throw invalidToken()
      },
    })
  }
}
