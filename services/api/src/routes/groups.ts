import type { FastifyInstance } from 'fastify'
import { object, text } from '../schemas.ts'
import { sessionRoutes } from './session-routes.ts'

const querystring = object({ current: text(16), pageSize: text(16), accessible: text(16), status: text(16) })

/** Devices that somebody may see besides their own. */
export function groupRoutes(app: FastifyInstance): void {
  sessionRoutes(app, 'groups', [
    {
      ...{ method: 'GET', url: '/api/device-group/accessible', summary: 'Groups of devices.' },
      schema: { querystring },
    },
    { method: 'GET', url: '/api/users', summary: 'Users whose devices may be seen.', schema: { querystring } },
    { method: 'GET', url: '/api/peers', summary: 'Devices that may be seen.', schema: { querystring } },
  ])
}

/** What an operator does from the command line of a device. */
export function assignmentRoutes(app: FastifyInstance): void {
  sessionRoutes(app, 'devices', [{ method: 'POST', url: '/api/devices/cli', summary: 'Assigns this device.' }])
}
