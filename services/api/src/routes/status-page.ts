import type { FastifyInstance } from 'fastify'
import { type ServerFacts, statusPage } from '../status/status-page.ts'
import { STATUS_STYLE } from '../status/status-style.ts'

/** Nothing is loaded from elsewhere, nothing is run. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** @param describe what is to be shown; `asked` is the host that the browser was pointed at */
export function statusPageRoutes(app: FastifyInstance, describe: (asked: string) => Promise<ServerFacts>): void {
  app.get(
    '/',
    {
      schema: {
        ...{ tags: ['status'], summary: 'For people: what to enter in a client.' },
        response: { 200: { type: 'string', description: 'HTML' } },
      },
    },
    async (request, reply) =>
      reply
        .headers({ 'content-security-policy': CONTENT_SECURITY_POLICY, 'cache-control': 'no-store' })
        .type('text/html; charset=utf-8')
        .send(statusPage(await describe(request.hostname))),
  )
  app.get(
    '/status.css',
    { schema: { ...{ tags: ['status'], summary: 'Its style.' }, response: { 200: { type: 'string' } } } },
    async (_request, reply) =>
      reply.header('cache-control', 'max-age=3600').type('text/css; charset=utf-8').send(STATUS_STYLE),
  )
}
