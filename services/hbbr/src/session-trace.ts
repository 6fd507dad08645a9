import { type Endpoint, formatEndpoint } from '@tryst/protocol'
import type { RelayEvents } from '@tryst/relay'
import { AttemptBudget, type RelayStepName, type TracePart, type TraceStep } from '@tryst/rendezvous'
import { looksLikeProbe } from '@tryst/service'
import { looksLikeHealthSession } from '@tryst/service/health-session'

/** Sessions with something new between two `take`, which is a second. */
const MAX_CHANGED = 1_000
/** Steps of one session between two `take`. */
const MAX_STEPS = 16
const MAX_TEXT = 100
const MAX_IGNORED = 1_000

interface Note {
  readonly atMs: number
  readonly step: RelayStepName
  readonly from: Endpoint
  readonly details: NoteDetails
}

interface NoteDetails {
  readonly what?: string
  readonly partner?: Endpoint | undefined
  readonly bytes?: number
  readonly lastedMs?: number
}

type TracedEvents = Pick<RelayEvents, 'waiting' | 'paired' | 'joined' | 'handedOver' | 'turnedAway' | 'pairEnded'>

/** Notes what this relay sees of sessions for whoever writes it down once a second; hands all on to the log. */
export class SessionTrace implements RelayEvents {
  readonly counts = { recorded: 0, left_out: 0 }
  readonly #budget: AttemptBudget
  #changed = new Map<string, Note[]>()
  /** Sessions by which servers probe themselves. */
  readonly #ignored = new Set<string>()

  /** @param clock milliseconds since 1970, as the ID servers count them */
  constructor(
    private readonly log: RelayEvents,
    private readonly clock: () => number,
  ) {
    this.#budget = new AttemptBudget(clock)
  }

  waiting: TracedEvents['waiting'] = (uuid, from) => {
    this.log.waiting(uuid, from)
    this.#note(uuid, 'waiting', from)
  }

  paired: TracedEvents['paired'] = (uuid, second, mode, first, device) => {
    this.log.paired(uuid, second, mode, first, device)
    if (looksLikeProbe(device)) return this.#ignore(uuid)
    this.#note(uuid, 'paired', second, { partner: first })
  }

  joined: TracedEvents['joined'] = (uuid, local, mode) => {
    this.log.joined(uuid, local, mode)
    this.#note(uuid, 'joined', local)
  }

  handedOver: TracedEvents['handedOver'] = (uuid, half) => {
    this.log.handedOver(uuid, half)
    this.#note(uuid, 'handed_over', half)
  }

  turnedAway: TracedEvents['turnedAway'] = (reason, from, uuid) => {
    this.log.turnedAway(reason, from, uuid)
    this.#note(uuid, 'turned_away', from, { what: reason })
  }

  pairEnded: TracedEvents['pairEnded'] = (reason, second, ageMs, totalBits, uuid) => {
    this.log.pairEnded(reason, second, ageMs, totalBits, uuid)
    this.#note(uuid, 'ended', second, { what: reason, bytes: totalBits / 8, lastedMs: Math.round(ageMs) })
  }

  brokerFailed: RelayEvents['brokerFailed'] = (error) => this.log.brokerFailed(error)

  downgraded: RelayEvents['downgraded'] = (second, thresholdBitsPerMs, ageMs) =>
    this.log.downgraded(second, thresholdBitsPerMs, ageMs)

  /** What was noted since the last time, and room for as much again. @param node what the operator calls this relay */
  take(node: string): readonly TracePart[] {
    const changed = this.#changed
    this.#changed = new Map()
    this.#budget.nextTurn()
    return [...changed].map(([uuid, notes]) => ({
      ...{ atMs: notes[0]?.atMs ?? 0, node, role: 'relay', session: printable(uuid) },
      steps: notes.map(stepOf),
    }))
  }

  #ignore(uuid: string): void {
    this.#changed.delete(uuid)
    if (this.#ignored.size < MAX_IGNORED) this.#ignored.add(uuid)
  }

  #note(uuid: string, step: RelayStepName, from: Endpoint, details: NoteDetails = {}): void {
    if (uuid === '' || looksLikeHealthSession(uuid)) return
    if (step === 'ended' && this.#ignored.delete(uuid)) return
    const note: Note = { atMs: this.clock(), step, from, details }
    const notes = this.#changed.get(uuid)
    if (notes) {
      if (notes.length < MAX_STEPS) notes.push(note)
      return
    }
    // The end of a session is told whatever else is new.
    const isRecorded = this.#changed.size < MAX_CHANGED && (step === 'ended' || this.#budget.admit(from.ip))
    this.counts[isRecorded ? 'recorded' : 'left_out']++
    if (isRecorded) this.#changed.set(uuid, [note])
  }
}

const stepOf = ({ atMs, step, from, details: { partner, ...details } }: Note): TraceStep => ({
  ...{ atMs, step, address: addressOf(from), ...details },
  ...(partner && { partner: addressOf(partner) }),
})

const addressOf = (endpoint: Endpoint): string => (endpoint.port === 0 ? endpoint.ip : formatEndpoint(endpoint))

/** A stranger's text: no control characters, no length to speak of. */
const printable = (text: string): string => text.replace(/[^\x21-\x7e]/g, '?').slice(0, MAX_TEXT)
