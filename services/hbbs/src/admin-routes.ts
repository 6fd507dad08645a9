import { Readable } from 'node:stream'
import {
  ADMIN_PATHS,
  type Administration,
  AdministrationError,
  type AdminRefusal,
  DEVICE_STATES,
  type DeployRequest,
  type DeviceRow,
  REFUSAL_STATUS,
  type TokenLimits,
} from '@tryst/device-admin'
import type { Logger } from '@tryst/service'
import { type FastifyError, type FastifyInstance, fastify } from 'fastify'

const BODY_LIMIT_BYTES = 16 * 1024

const text = (maxLength: number) => ({ type: 'string', maxLength })
const ID = text(512)

const body = (properties: Record<string, unknown>, ...required: string[]) => ({
  schema: { body: { type: 'object', additionalProperties: false, properties, required } },
})

/** The routes of the admin socket: one for each method of Administration. */
export async function createAdminApp({
  administration,
  log,
}: {
  readonly administration: Administration
  readonly log: Logger
}): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  app.setErrorHandler<FastifyError | AdministrationError>(async (error, request, reply) => {
    if (error instanceof AdministrationError) return reply.code(REFUSAL_STATUS[error.code]).send(refusalOf(error))
    const { statusCode = 500, message } = error
    if (statusCode >= 500)
      log.error({ err: error, path: request.url }, 'the admin socket could not do what it was told')
    return reply.code(statusCode).send({ error: message, code: 'invalid' } satisfies AdminRefusal)
  })
  deviceRoutes(app, administration, (what, fields) => log.info(fields, `operator: ${what}`))
  tokenRoutes(app, administration, (what, fields) => log.info(fields, `operator: ${what}`))
  await app.ready()
  return app
}

type Note = (what: string, fields: Record<string, unknown>) => void

function deviceRoutes(app: FastifyInstance, administration: Administration, note: Note): void {
  app.post<{ Body: { state?: DeviceRow['state'] } }>(
    ADMIN_PATHS.list,
    body({ state: { type: 'string', enum: DEVICE_STATES } }),
    async ({ body: { state } }, reply) =>
      reply.type('application/x-ndjson').send(Readable.from(linesOf(administration.list(state)))),
  )
  for (const verdict of ['approve', 'refuse'] as const)
    app.post<{ Body: { id: string; fingerprint?: string } }>(
      ADMIN_PATHS[verdict],
      body({ id: ID, fingerprint: text(64) }, 'id'),
      async ({ body: { id, fingerprint } }) => {
        const device = await administration[verdict](id, fingerprint)
        note(`device ${device.state}`, { id, uuid: device.uuid, key: device.key, ip: device.ip, why: device.why })
        return device
      },
    )
  app.post<{ Body: { id: string } }>(ADMIN_PATHS.invite, body({ id: ID }, 'id'), async ({ body: { id } }) => {
    const done = await administration.invite(id)
    note('device invited', { id })
    return done
  })
  app.post<{ Body: { id: string } }>(ADMIN_PATHS.remove, body({ id: ID }, 'id'), async ({ body: { id } }) => {
    const done = await administration.remove(id)
    note('device removed', { id, ...done })
    return done
  })
  app.post<{ Body: { id: string; to: string } }>(
    ADMIN_PATHS.rename,
    body({ id: ID, to: ID }, 'id', 'to'),
    async ({ body: { id, to } }) => {
      const done = await administration.rename(id, to)
      note('device renamed', { id, to, ...done })
      return done
    },
  )
  app.post<{ Body: { id: string; note: string } }>(
    ADMIN_PATHS.note,
    body({ id: ID, note: text(2_048) }, 'id', 'note'),
    async ({ body: { id, note: words } }) => {
      await administration.note(id, words)
      return {}
    },
  )
  app.post<{ Body: DeployRequest }>(
    ADMIN_PATHS.deploy,
    body({ token: text(512), id: ID, uuid: text(6_144), pk: text(128) }, 'token', 'id', 'uuid', 'pk'),
    async ({ body: request }) => {
      const result = await administration.deploy(request)
      if (result === 'OK') note('device deployed', { id: request.id })
      return { result }
    },
  )
}

function tokenRoutes(app: FastifyInstance, administration: Administration, note: Note): void {
  app.post<{ Body: TokenLimits }>(
    ADMIN_PATHS.createToken,
    body({
      name: text(64),
      lifetimeMs: { type: 'integer', minimum: 1 },
      uses: { type: 'integer', minimum: 1 },
    }),
    async ({ body: limits }) => {
      const created = await administration.createToken(limits)
      note('deploy token created', { name: created.name, expiresMs: created.expiresMs, uses: created.usesLeft })
      return created
    },
  )
  app.post(ADMIN_PATHS.tokens, body({}), async () => administration.tokens())
  app.post<{ Body: { name: string } }>(
    ADMIN_PATHS.revokeToken,
    body({ name: text(64) }, 'name'),
    async ({ body: { name } }) => {
      await administration.revokeToken(name)
      note('deploy token revoked', { name })
      return {}
    },
  )
}

const refusalOf = ({ code, message }: AdministrationError): AdminRefusal => ({ error: message, code })

/** The status has left already when something fails in between: it is the last line. */
async function* linesOf(rows: AsyncIterable<DeviceRow>): AsyncGenerator<string> {
  try {
    for await (const row of rows) yield `${JSON.stringify(row)}\n`
  } catch (error) {
    yield `${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`
  }
}
