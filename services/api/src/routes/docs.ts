import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'

/** Notes every route that is added from now on for `/api/docs`. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Tryst', description: 'What RustDesk clients ask of the API of their server.', version },
      components: { securitySchemes: { session: { type: 'http', scheme: 'bearer' } } },
    },
  })
}

/** The routes of this API, for machines: OpenAPI. */
export function docsRoute(app: FastifyInstance): void {
  app.get(
    '/api/docs',
    {
      schema: {
        ...{ tags: ['documentation'], summary: 'This document.' },
        response: { 200: { type: 'object', additionalProperties: true } },
      },
    },
    async () => app.swagger(),
  )
}
