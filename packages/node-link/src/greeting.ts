import { encodeFrame } from '@tryst/protocol'
import type { Refusal } from './events.ts'
import { link } from './generated/link.js'
import type { StreamOpening } from './node-questions.ts'

/** Nothing longer is taken from a connection that has not greeted. */
export const MAX_GREETING_BYTES = 1024

/** Nodes talk when the major versions are the same; what only one of them knows is answered "not understood". */
export const PROTOCOL_VERSION = { major: 1, minor: 0 } as const

/** What a node says of itself. */
export interface Self {
  readonly major: number
  readonly minor: number
  readonly program: string
  readonly incarnation: string
  readonly name: string
}

export function encodeGreeting(self: Self, wanted: string, stream?: StreamOpening): Uint8Array {
  return encodeFrame(link.Greeting.encode({ ...self, wanted, ...(stream && { stream }) }).finish())
}

/** @throws what the codec throws */
export const decodeGreeting = (bytes: Uint8Array): link.Greeting => link.Greeting.decode(bytes)

/** Undefined: welcome. */
export function decideRefusal(greeting: Pick<link.Greeting, 'major' | 'incarnation' | 'wanted'>, self: Self) {
  // First of all: nothing behind a number that differs means what it seems to.
  if (greeting.major !== self.major) return 'other-version'
  if (greeting.incarnation === self.incarnation) return 'myself'
  if (greeting.wanted !== self.incarnation) return 'other-incarnation'
  return undefined
}

const RECEPTIONS = {
  accepted: link.Reception.ACCEPTED,
  gone: link.Reception.GONE,
  'other-version': link.Reception.OTHER_VERSION,
  'other-incarnation': link.Reception.OTHER_NODE,
  myself: link.Reception.YOURSELF,
} as const satisfies { readonly [K in Refusal | 'accepted' | 'gone']?: link.Reception }

export type Reception = keyof typeof RECEPTIONS

/** All receptions of one node make frames of the same length. */
export function encodeWelcome(self: Self, reception: Reception): Uint8Array {
  return encodeFrame(link.Welcome.encode({ reception: RECEPTIONS[reception], ...self }).finish())
}

/** @throws what the codec throws */
export function decodeWelcome(bytes: Uint8Array): { readonly reception: Reception | undefined; readonly self: Self } {
  const welcome = link.Welcome.decode(bytes)
  const names = Object.keys(RECEPTIONS) as Reception[]
  return { reception: names.find((name) => RECEPTIONS[name] === welcome.reception), self: welcome }
}
