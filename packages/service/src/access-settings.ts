import { setting } from './setting.ts'
import { oneOf, trimmedText, wholeNumber } from './value-schemas.ts'

/** What everybody has to know who registers devices: the ID server, the API and the operator's commands. */
export const accessSettings = {
  accessMode: setting({
    variable: 'ACCESS_MODE',
    schema: oneOf(['open', 'approve', 'invite']),
    fallback: 'open',
    topic: 'Access',
    meaning:
      'Which devices that the server does not know yet may register. open: all. approve: those that `tryst devices approve` lets in; others wait in its list. invite: those whose id `tryst devices invite` has named, and those that were deployed with a token; others are listed nowhere. Devices that are known stay known.',
  }),
  adminSocket: setting({
    variable: 'ADMIN_SOCKET',
    schema: trimmedText('the path of a Unix socket, or none'),
    fallback: './admin.sock',
    topic: 'Access',
    meaning:
      'Unix socket at which `tryst devices`, `tryst deploy-token` and the API reach this server; whoever may open it commands the server. `none`: there is none.',
  }),
  idMaxBytes: setting({
    variable: 'ID_MAX_BYTES',
    schema: wholeNumber({ min: 6, max: 100 }),
    fallback: 100,
    topic: 'Limits',
    meaning: 'Longest id of a device.',
    reason: "The width of the database's column.",
  }),
  uuidMaxBytes: setting({
    variable: 'UUID_MAX_BYTES',
    schema: wholeNumber({ min: 32, max: 4_096 }),
    fallback: 256,
    topic: 'Limits',
    meaning: 'Longest device identity (uuid).',
    reason:
      'Stock clients send a machine id or a key, some 32 to 64 bytes; it is stored, so a stranger must not choose its size.',
  }),
}
