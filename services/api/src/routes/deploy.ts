import type { FastifyInstance } from 'fastify'
import { ApiError, invalidToken } from '../api-error.ts'
import type { Deployments } from '../ports.ts'
import { errorAnswer, ID, object, signedOut, text, UUID } from '../schemas.ts'
import { tokenOf } from '../session-guard.ts'

/** `--deploy --token T` of stock clients (docs/access.md). */
export function deployRoutes(app: FastifyInstance, deployments: Deployments, triesPerMinute: number): void {
  app.post<{ Body: { id?: string; uuid?: string; pk?: string } | undefined }>(
    '/api/devices/deploy',
    {
      // Nobody shall find a token by trying.
      config: { rateLimit: { max: triesPerMinute, timeWindow: 60_000 } },
      schema: {
        tags: ['devices'],
        summary: 'Registers a device before it comes, with a deploy token.',
        body: object({ id: ID, uuid: UUID, pk: text(128) }),
        response: {
          200: object(
            { result: { type: 'string', enum: ['OK', 'NOT_ENABLED', 'INVALID_INPUT', 'ID_TAKEN'] } },
            'result',
          ),
          ...signedOut,
          '4xx': errorAnswer,
        },
      },
    },
    async (request) => {
      const { id = '', uuid = '', pk = '' } = request.body ?? {}
      const result = await deployments.deploy({ token: tokenOf(request) ?? '', id, uuid, pk })
      if (result === 'bad-token') throw invalidToken()
      if (result === 'unavailable') throw new ApiError(429, 'This server cannot do that now: try again later')
      return { result }
    },
  )
}
