import type { FastifyInstance } from 'fastify'
import { AUDIT_KINDS, type AuditTrail } from '../ports.ts'
import { emptyAnswer, errorAnswer, GUID, ID, text } from '../schemas.ts'
import { sessionRoutes } from './session-routes.ts'

/** Nobody knows beforehand what devices will tell one day; how much it is has a bound. */
const RECORD = { type: 'object', required: ['id'], properties: { id: ID } }
const MAX_RECORD_BYTES = 64 * 1024

/** What devices tell of connections, files and alarms, without credentials. */
export function auditRoutes(app: FastifyInstance, audit: AuditTrail): void {
  for (const kind of AUDIT_KINDS) {
    app.post(
      `/api/audit/${kind}`,
      {
        bodyLimit: MAX_RECORD_BYTES,
        schema: {
          ...{ tags: ['audit'], summary: `What happened at a device: ${kind}.`, body: RECORD },
          response: { 200: emptyAnswer, '4xx': errorAnswer },
        },
      },
      async ({ jsonText }, reply) => {
        await audit.add(kind, jsonText)
        // Any text in the body would make the device send it again.
        return reply.code(200).send()
      },
    )
  }
}

/** Notes that the controlling side writes about its session. */
export function auditNoteRoutes(app: FastifyInstance): void {
  const querystring = { type: 'object', properties: { id: ID, session_id: text(20), conn_type: text(4) } }
  const body = { type: 'object', properties: { guid: GUID, note: text(2_000) } }
  sessionRoutes(app, 'audit', [
    { method: 'GET', url: '/api/audit/conn/active', summary: 'The record of my session.', schema: { querystring } },
    { method: 'PUT', url: '/api/audit', summary: 'Sets the note of a record.', schema: { body } },
  ])
}
