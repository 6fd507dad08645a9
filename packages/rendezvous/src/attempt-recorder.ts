import { type Endpoint, formatEndpoint } from '@tryst/protocol'
import { AttemptBudget } from './attempt-budget.ts'
import { ATTEMPT_CODE_MASK, formatAttemptCode } from './attempt-code.ts'
import type { AttemptStepName, TracePart, TraceStep } from './attempt-trace.ts'
import type { ClientConnection, Clock } from './connection.ts'

/** Attempts with something new between two `take`, which is a second. */
const MAX_CHANGED = 1_000
/** Steps of one attempt between two `take`. */
const MAX_STEPS = 16

/** One step as it is noted: nothing is made of it before somebody takes it. */
interface Note {
  readonly atMs: number
  readonly step: AttemptStepName
  readonly what: string
  readonly via: string
  readonly node: string
  readonly from: Endpoint | undefined
  readonly relay: string
}

interface NoteDetails {
  readonly what?: string
  readonly via?: string
  readonly node?: string
  readonly from?: Endpoint | undefined
  readonly relay?: string
}

/** One request of a controller for one device, with its repeats; or what this node does for one on another node. */
export interface Attempt {
  readonly code: number
  readonly id: string
  /** Undefined: the controller is on another node. */
  readonly asked: { readonly kind: 'punch' | 'relay'; readonly from: Endpoint; readonly over: string } | undefined
  /** The name of the relayed session. */
  session: string
  isAnswered: boolean
  /** Since somebody took them last. */
  notes: Note[]
}

/** Where the attempt of a connection is noted: in itself, so that it goes with it. */
const ATTEMPT = Symbol('attempt of a controller')
type Attempting = ClientConnection & { [ATTEMPT]?: Attempt | undefined }

/**
 * Notes the steps of attempts for whoever writes them down once a second. What an attempt costs here is a few small
 * objects; nothing is formatted, and beyond its bounds nothing is noted.
 */
export class AttemptRecorder {
  /** Attempts that were recorded, and those that were too many. */
  readonly counts = { recorded: 0, left_out: 0 }
  readonly #budget: AttemptBudget
  #changed: Attempt[] = []

  constructor(
    private readonly parts: {
      readonly clock: Clock
      readonly random: () => number
      /** Attempts at this device are of no interest. Default: all are. */
      readonly isIgnored?: (id: string) => boolean
    },
  ) {
    this.#budget = new AttemptBudget(parts.clock)
  }

  /** A controller asks for a device. Undefined: this attempt is not recorded, and has no code. */
  begin(connection: Attempting, kind: 'punch' | 'relay', id: string): Attempt | undefined {
    const before = connection[ATTEMPT]
    if (before?.id === id && before.asked?.kind === kind) {
      this.note(before, 'asked_again')
      return before
    }
    if (this.parts.isIgnored?.(id) || !this.#admit(connection.remote.ip)) return undefined
    const asked = { kind, from: connection.remote, over: connection.transport }
    const attempt = newAttempt(this.parts.random() & ATTEMPT_CODE_MASK, id, asked)
    connection[ATTEMPT] = attempt
    this.note(attempt, 'asked')
    return attempt
  }

  note(attempt: Attempt, step: AttemptStepName, details: NoteDetails = NO_DETAILS): void {
    const { notes } = attempt
    if (notes.length === 0) {
      if (this.#changed.length >= MAX_CHANGED) return
      this.#changed.push(attempt)
    } else if (notes.length >= MAX_STEPS) return
    const { what = '', via = '', node = '', from, relay = '' } = details
    notes.push({ atMs: this.parts.clock(), step, what, via, node, from, relay })
  }

  /** Relays know of the session that the attempt has become. */
  noteSession(attempt: Attempt, uuid: string): void {
    attempt.session = uuid
    this.note(attempt, 'ticket')
  }

  /** This node tells a device something for a controller on another node. */
  passedOn(code: number, id: string, details: NoteDetails): void {
    if (this.#admit(undefined)) this.note(newAttempt(code & ATTEMPT_CODE_MASK, id, undefined), 'passed_on', details)
  }

  /** The connection has ended. */
  closed(connection: Attempting): void {
    const attempt = connection[ATTEMPT]
    if (!attempt) return
    connection[ATTEMPT] = undefined
    this.note(attempt, 'left', attempt.isAnswered ? ANSWERED : NOT_ANSWERED)
  }

  /** What was noted since the last time, and room for as much again. */
  take(): readonly Attempt[] {
    const changed = this.#changed
    this.#changed = []
    this.#budget.nextTurn()
    return changed
  }

  #admit(ip: string | undefined): boolean {
    const isAdmitted = this.#budget.admit(ip)
    this.counts[isAdmitted ? 'recorded' : 'left_out']++
    return isAdmitted
  }
}

export interface PartSurroundings {
  /** What the operator calls this node. */
  readonly node: string
  /** The same of another node, where it is known. */
  readonly nameOf?: (node: string) => string | undefined
}

/** What is written down of an attempt, which begins to be noted anew with it. */
export function takePart(attempt: Attempt, { node, nameOf = () => undefined }: PartSurroundings): TracePart {
  const { notes, asked, session } = attempt
  attempt.notes = []
  return {
    atMs: notes[0]?.atMs ?? 0,
    node,
    role: 'id-server',
    code: formatAttemptCode(attempt.code),
    id: printable(attempt.id),
    ...(session !== '' && { session: printable(session) }),
    ...(asked && { asked: { kind: asked.kind, from: formatEndpoint(asked.from), over: asked.over } }),
    steps: notes.map((note) => stepOf(note, nameOf, session)),
  }
}

function newAttempt(code: number, id: string, asked: Attempt['asked']): Attempt {
  return { code, id, asked, session: '', isAnswered: false, notes: [] }
}

/** Why nobody was told of the controller, or the controller nothing; undefined: they were. */
export const noteworthyStep = (steps: readonly TraceStep[]): TraceStep | undefined =>
  steps.find(({ step }) => step === 'refused' || step === 'unanswered')

const stepOf = (
  { atMs, step, what, via, node, from, relay }: Note,
  nameOf: (node: string) => string | undefined,
  session: string,
): TraceStep => ({
  ...{ atMs, step },
  ...(step === 'ticket' && { session: printable(session) }),
  ...(what !== '' && { what }),
  ...(via !== '' && { over: transportOf(via) }),
  ...(node !== '' && { node: nameOf(node) ?? node }),
  ...(from && { address: from.port === 0 ? from.ip : formatEndpoint(from) }),
  ...(relay !== '' && { relay: printable(relay) }),
})

/** `tcp-17` is the 17th connection of its node. */
const transportOf = (via: string): string => via.replace(/-\d+$/, '')

/** A stranger's text: no control characters, no length to speak of. */
const printable = (text: string): string => text.replace(/[^\x21-\x7e]/g, '?').slice(0, 100)

const NO_DETAILS: NoteDetails = Object.freeze({})
const ANSWERED: NoteDetails = Object.freeze({ what: 'answered' })
const NOT_ANSWERED: NoteDetails = Object.freeze({ what: 'not_answered' })
