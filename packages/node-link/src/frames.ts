import type { DeviceAnswer, PeerId, PushOutcome } from '@tryst/rendezvous'
import { link } from './generated/link.js'
import type { RecalledIdentity } from './node-questions.ts'

/** One question, without its number. */
export type Question = Pick<
  link.Frame.$Properties,
  | 'alive'
  | 'push'
  | 'forget'
  | 'holds'
  | 'deviceAnswer'
  | 'ticketFor'
  | 'hasStore'
  | 'identityOf'
  | 'hasDevice'
  | 'dismiss'
>
/** One answer, without the number of its question. */
export type Answer = Omit<link.Frame.$Properties, 'question' | 'answer' | keyof Question>

const OUTCOMES = {
  pushed: link.PushOutcome.PUSHED,
  silent: link.PushOutcome.SILENT,
  'not-mine': link.PushOutcome.NOT_MINE,
} as const satisfies { readonly [K in PushOutcome]: link.PushOutcome }

const KINDS = {
  'punch-hole-sent': link.DeviceAnswerKind.PUNCH_HOLE_SENT,
  'udp-punch-hole-sent': link.DeviceAnswerKind.UDP_PUNCH_HOLE_SENT,
  'local-addr': link.DeviceAnswerKind.LOCAL_ADDR,
  'relay-response': link.DeviceAnswerKind.RELAY_RESPONSE,
} as const satisfies { readonly [K in DeviceAnswer['kind']]: link.DeviceAnswerKind }

export const encodePushOutcome = (outcome: PushOutcome): link.PushOutcome => OUTCOMES[outcome]
/** Undefined for an outcome of a later version. */
export const decodePushOutcome = (wire: link.PushOutcome): PushOutcome | undefined => keyOf(OUTCOMES, wire)

export function encodeDeviceAnswer(answer: DeviceAnswer): link.DeviceAnswer.$Properties {
  const { kind, handle, id, message, from } = answer
  return { kind: KINDS[kind], handle, id, message, fromIp: from.ip, fromPort: from.port }
}

/** Undefined for a kind of a later version. */
export function decodeDeviceAnswer(wire: link.DeviceAnswer.$Properties): DeviceAnswer | undefined {
  const kind = keyOf(KINDS, wire.kind ?? link.DeviceAnswerKind.UNKNOWN_KIND)
  if (kind === undefined) return undefined
  const { handle = NOTHING, id = '', message = NOTHING, fromIp = '', fromPort = 0 } = wire
  return {
    kind,
    handle: handle ?? NOTHING,
    id: id ?? '',
    message: message ?? NOTHING,
    from: { ip: fromIp ?? '', port: fromPort ?? 0 },
  }
}

/** Undefined: the node remembers nothing. */
export function decodeIdentity(wire: link.Identity.$Properties): RecalledIdentity | undefined {
  const { guid, uuid, publicKey, ip, version, createdMs } = wire
  if (!guid?.length || !uuid || !publicKey) return undefined
  return { guid, uuid, publicKey, ip: ip ?? '', version: version ?? 0, createdMs: createdMs ?? 0 }
}

/** Ids on links come from nodes that have checked them. */
export const asPeerId = (id: string): PeerId => id as PeerId

const NOTHING = new Uint8Array(0)

function keyOf<K extends string>(table: { readonly [key in K]: number }, value: number): K | undefined {
  for (const key in table) if (table[key] === value) return key
  return undefined
}
