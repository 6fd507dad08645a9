import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/**
 * A refusal that a client shows to its user, or understands. Never 5xx for what is no fault of ours: clients then try
 * the same once more through the ID server.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError'

  constructor(
    readonly statusCode: 400 | 401 | 403 | 404 | 429,
    message: string,
  ) {
    super(message)
  }
}

/** No session, or no longer: clients forget their token when they read this. */
export const invalidToken = () => new ApiError(401, 'Invalid token')

/** Gives every error the one form that clients read: a JSON object with the text `error`. */
export function answerErrors(app: FastifyInstance): void {
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, async (_request, reply) => sendError(reply, 404, 'Not found'))
  app.setErrorHandler<FastifyError>(async (error, request, reply) => {
    const status = error.statusCode ?? 500
    if (status < 500) return sendError(reply, status, error.message)
    request.log.error({ err: error, route: request.routeOptions.url }, 'request failed')
    return sendError(reply, 500, 'Internal error')
  })
}

/** For requests so broken that they come to no route. */
export function answerFrameworkError(error: Error, _request: FastifyRequest, reply: FastifyReply): void {
  void sendError(reply, 400, error.message)
}

function sendError(reply: FastifyReply, status: number, error: string): FastifyReply {
  return reply.code(status).type('application/json; charset=utf-8').serializer(JSON.stringify).send({ error })
}
