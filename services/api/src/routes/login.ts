import type { FastifyInstance } from 'fastify'
import { ApiError } from '../api-error.ts'
import type { Accounts, LoginRequest } from '../ports.ts'
import { emptyAnswer, errorAnswer, ID, object, text, UUID } from '../schemas.ts'
import { sessionRoutes } from './session-routes.ts'

const DEVICE_INFO = object({ os: text(512), type: text(64), name: text(255) })

const LOGIN = object(
  {
    username: text(255),
    password: text(1_024),
    id: ID,
    uuid: UUID,
    autoLogin: { type: 'boolean' },
    type: text(32),
    verificationCode: text(64),
    tfaCode: text(64),
    secret: text(1_024),
    deviceInfo: DEVICE_INFO,
  },
  'username',
)

const SESSION = object({ type: text(32), access_token: text(256) }, 'type', 'access_token')

const tags = ['login']

/** Logging in and out, by password and through others. @param loginsPerMinute for each address */
export function loginRoutes(app: FastifyInstance, accounts: Accounts, loginsPerMinute: number): void {
  // One count for all ways, instead of that of all routes.
  const config = { rateLimit: false } as const
  const onRequest = app.rateLimit({ max: loginsPerMinute, timeWindow: 60_000 })

  // Clients also send HEAD, to find out how to speak TLS; any answer will do.
  app.get(
    '/api/login-options',
    {
      schema: {
        ...{ tags, summary: 'Other ways to log in.' },
        response: { 200: { type: 'array', items: { type: 'string' } }, '4xx': errorAnswer },
      },
    },
    async () => accounts.loginOptions(),
  )

  app.post<{ Body: LoginRequest }>(
    '/api/login',
    {
      config,
      onRequest,
      schema: {
        ...{ tags, summary: 'Logs in with a password.', body: LOGIN },
        response: { 200: SESSION, '4xx': errorAnswer },
      },
    },
    async ({ body }) => {
      const outcome = await accounts.login(body)
      if ('refusal' in outcome) throw new ApiError(403, outcome.refusal)
      return { type: 'access_token', access_token: outcome.token }
    },
  )

  // Whoever logs out is logged out, whatever the token was worth; clients do not wait for the answer.
  app.post(
    '/api/logout',
    {
      schema: {
        ...{ tags, summary: 'Ends a session.' },
        response: { 200: emptyAnswer, '4xx': errorAnswer },
      },
    },
    async (_request, reply) => reply.code(200).send(),
  )

  app.post(
    '/api/oidc/auth',
    {
      config,
      onRequest,
      schema: {
        ...{ tags, summary: 'Begins to log in through somebody else.' },
        body: object({ op: text(255), id: ID, uuid: UUID, deviceInfo: DEVICE_INFO, apiDomain: text(512) }),
        response: { '4xx': errorAnswer },
      },
    },
    async () => {
      throw new ApiError(403, 'This server knows nobody else to log in through')
    },
  )

  app.get(
    '/api/oidc/auth-query',
    {
      schema: {
        ...{ tags, summary: 'Asks what became of it.' },
        querystring: object({ code: text(512), id: ID, uuid: UUID }),
        response: { '4xx': errorAnswer },
      },
    },
    async () => {
      throw new ApiError(403, 'The login has expired')
    },
  )
}

/** Who is logged in. */
export function currentUserRoutes(app: FastifyInstance): void {
  sessionRoutes(app, 'login', [{ method: 'POST', url: '/api/currentUser', summary: 'Who is logged in.' }])
}
