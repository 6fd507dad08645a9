import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** The JSON as it came: numbers of 64 bits lose their last digits when they are parsed. */
    jsonText: string
  }
}

/** Clients announce JSON and send nothing on many routes; that is no mistake. */
export function acceptJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.decorateRequest('jsonText', '')
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.trim() === '') return done(null, undefined)
    request.jsonText = body
    return parse(request, body, done)
  })
}
