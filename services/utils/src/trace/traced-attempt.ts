import type { TracePart, TraceStep } from '@tryst/rendezvous'

/** One step of an attempt, and who saw it. */
export interface SeenStep extends TraceStep {
  /** Who saw it. */
  readonly at: string
  readonly role: TracePart['role']
}

/** All that is known of one attempt. */
export interface TracedAttempt {
  readonly code: string
  readonly id: string
  /** Undefined where the node that the controller asked has not written it down, or not any more. */
  readonly asked: TracePart['asked']
  readonly startedMs: number
  readonly sessions: readonly string[]
  /** By their times, which are those of the nodes' clocks. */
  readonly steps: readonly SeenStep[]
}

/** Attempts of one controller at one device that lie no further apart are one try of its user. */
const ONE_TRY_MS = 90_000

/** Puts together what nodes and relays saw, the latest attempt first. */
export function assemble(parts: readonly TracePart[]): readonly TracedAttempt[] {
  const seen = new Set<string>()
  const byCode = new Map<string, TracePart[]>()
  const bySession = new Map<string, TracePart[]>()
  for (const part of parts) {
    // A part may have been written twice.
    const text = JSON.stringify(part)
    if (seen.has(text)) continue
    seen.add(text)
    if (part.code !== undefined) addTo(byCode, part.code, part)
    else if (part.session !== undefined) addTo(bySession, part.session, part)
  }
  const attempts = [...byCode].map(([code, ofAttempt]) => attemptOf(code, ofAttempt, bySession))
  return attempts.sort((a, b) => b.startedMs - a.startedMs)
}

/** What the same controller asked of the same device around the same time, the earliest first. */
export function relatedTo(attempt: TracedAttempt, all: readonly TracedAttempt[]): readonly TracedAttempt[] {
  const ip = ipOf(attempt)
  return all
    .filter((other) => other.code !== attempt.code && other.id === attempt.id && ipOf(other) === ip)
    .filter((other) => Math.abs(other.startedMs - attempt.startedMs) <= ONE_TRY_MS)
    .reverse()
}

/** How it ended, in a few words. */
export function outcomeOf({ steps }: TracedAttempt): string {
  const last = (...names: readonly SeenStep['step'][]) => steps.findLast(({ step }) => names.includes(step))
  const ended = steps.filter(({ step }) => step === 'ended').sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0))[0]
  if (ended) return `relayed ${ended.bytes ?? 0} bytes, ${ended.what}`
  if (last('paired', 'joined')) return 'relayed'
  const away = last('turned_away')
  if (away) return `turned away by the relay: ${away.what}`
  const answered = last('answered')
  if (answered) return `answered: ${answered.what}`
  const refused = last('refused', 'unanswered')
  if (refused) return `${refused.step === 'refused' ? 'refused' : 'left without an answer'}: ${refused.what}`
  if (last('pushed', 'passed_on')) return 'the device has not answered'
  return 'nothing came of it'
}

function attemptOf(
  code: string,
  ofAttempt: readonly TracePart[],
  bySession: ReadonlyMap<string, readonly TracePart[]>,
): TracedAttempt {
  const sessions = [...new Set(ofAttempt.flatMap(({ session }) => (session === undefined ? [] : [session])))]
  const all = [...ofAttempt, ...sessions.flatMap((session) => bySession.get(session) ?? [])]
  const steps = all
    .flatMap(({ node: at, role, steps: ofPart }) => ofPart.map((step) => ({ ...step, at, role })))
    .sort((a, b) => a.atMs - b.atMs)
  const asking = ofAttempt.find(({ asked }) => asked !== undefined)
  return {
    code,
    id: asking?.id ?? ofAttempt[0]?.id ?? '',
    asked: asking?.asked,
    startedMs: steps[0]?.atMs ?? 0,
    sessions,
    steps,
  }
}

const ipOf = ({ asked }: TracedAttempt) => asked?.from.replace(/:\d+$/, '')

function addTo<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key)
  // Parts are read the latest first.
  if (list) list.unshift(value)
  else lists.set(key, [value])
}
