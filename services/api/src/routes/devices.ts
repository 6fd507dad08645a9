import type { FastifyInstance } from 'fastify'
import { ApiError } from '../api-error.ts'
import type { DeviceHeartbeat, DeviceInventory, DeviceReports } from '../ports.ts'
import { arrayOf, errorAnswer, ID, INT64, object, text, UUID } from '../schemas.ts'

const HEARTBEAT = object(
  {
    id: ID,
    uuid: UUID,
    ver: INT64,
    conns: arrayOf(INT64, 10_000),
    modified_at: INT64,
  },
  'id',
)

const INVENTORY_TEXTS = [
  'version',
  'cpu',
  'memory',
  'os',
  'hostname',
  'username',
  'preset-address-book-name',
  'preset-address-book-tag',
  'preset-address-book-alias',
  'preset-address-book-password',
  'preset-address-book-note',
  'preset-user-name',
  'preset-strategy-name',
  'preset-device-group-name',
  'preset-device-name',
  'preset-device-username',
  'preset-note',
]

const INVENTORY = object(
  { id: ID, uuid: UUID, ...Object.fromEntries(INVENTORY_TEXTS.map((name) => [name, text(4_096)])) },
  'id',
)

const tags = ['devices']

/** What devices report by themselves, without credentials. */
export function deviceRoutes(app: FastifyInstance, devices: DeviceReports): void {
  app.post<{ Body: DeviceHeartbeat }>(
    '/api/heartbeat',
    {
      schema: {
        ...{ tags, summary: 'Every 15 s, every 3 s while somebody is connected.', body: HEARTBEAT },
        response: {
          200: {
            description: 'What the device is to do; usually nothing.',
            ...object({ sysinfo: { type: 'boolean' }, disconnect: arrayOf(INT64, 10_000) }),
          },
          '4xx': errorAnswer,
        },
      },
    },
    async ({ body }) => devices.heartbeat(body),
  )

  app.post<{ Body: DeviceInventory }>(
    '/api/sysinfo',
    {
      schema: {
        ...{ tags, summary: 'Inventory, when the service of a device starts.', body: INVENTORY },
        response: { 200: { type: 'string', description: 'SYSINFO_UPDATED' }, '4xx': errorAnswer },
      },
    },
    async ({ body }, reply) => {
      // A device that is told that it is unknown asks again every 3 s; when it is refused, every two minutes.
      if ((await devices.inventory(body)) === 'unknown device') throw new ApiError(403, 'DENIED')
      return plainText(reply).send('SYSINFO_UPDATED')
    },
  )

  app.post(
    '/api/sysinfo_ver',
    {
      schema: {
        ...{ tags, summary: 'Changes when inventories are wanted anew (clients 1.3.8 to 1.4.0).' },
        response: { 200: { type: 'string' }, '4xx': errorAnswer },
      },
    },
    async (_request, reply) => plainText(reply).send(await devices.inventoryVersion()),
  )

  app.post(
    '/api/switch-grant',
    {
      schema: {
        ...{ tags, summary: 'Permits the way back of "switch sides", where access rules forbid it; here none do.' },
        body: object({ id: ID, switch_code_verifier: text(64), timestamp: text(32), signature: text(128) }),
        response: { 200: object({ accepted: { type: 'boolean' } }, 'accepted'), '4xx': errorAnswer },
      },
    },
    async () => ({ accepted: false }),
  )
}

const plainText = <Reply extends { type(contentType: string): Reply }>(reply: Reply) =>
  reply.type('text/plain; charset=utf-8')
