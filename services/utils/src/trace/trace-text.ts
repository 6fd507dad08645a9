import { printable, table, timeText } from '../devices/table.ts'
import { outcomeOf, type SeenStep, type TracedAttempt } from './traced-attempt.ts'

const WHAT_WAS_ASKED = { punch: 'asked for a way', relay: 'asked for a relay' } as const

const PUSHED: Readonly<Record<string, string>> = {
  punch: 'to make a hole, or to bring a relay',
  local_address: 'to name its local address',
  relay: 'to come to a relay',
}

const ANSWERED: Readonly<Record<string, string>> = {
  'punch-hole-sent': 'it has made a hole (TCP)',
  'udp-punch-hole-sent': 'it has made a hole (UDP)',
  'local-addr': 'it names its local address',
  'relay-response': 'it goes to a relay',
}

/** Why, where the name of the reason alone would leave an operator guessing. */
const REASONS: Readonly<Record<string, string>> = {
  key_mismatch: 'the key in the client is another one',
  unknown_id: 'no device has this ID',
  offline: 'the device is offline: not heard of for 30 s',
  not_allowed: 'ALLOW_CONTROL does not let this controller ask',
  too_long: 'the request is too long',
  too_many: 'this connection asked for too much at once',
  store_unavailable: 'the state could not be asked; silence lets the client ask again',
  node_unavailable: 'the node of the device could not be reached; silence lets the client ask again',
  silent: 'the device has not been heard of for too long',
  'not-mine': 'the device is not there any more',
  answered: 'a device had answered',
  not_answered: 'no device had answered',
  no_ticket: 'no ID server introduced this session (no_ticket)',
  pair_timeout: 'the other side did not come within 30 s (pair_timeout)',
  closed: 'a side closed it',
  idle: 'nothing was said for 30 s',
}

/** One attempt, for people. */
export function attemptText(attempt: TracedAttempt, related: readonly TracedAttempt[]): string {
  const { code, id, asked, startedMs, steps } = attempt
  const kind = asked ? WHAT_WAS_ASKED[asked.kind] : 'asked'
  const who = asked ? `${asked.from} (${asked.over})` : 'somebody'
  const rows = steps.map((step) => [`+${step.atMs - startedMs} ms`, nodeText(step), stepText(step)])
  return [
    `${code}  ${preciseTime(startedMs)}  ${printable(who)} ${kind} to ${printable(id)}\n`,
    table(['WHEN', 'WHO SAW IT', 'WHAT'], rows),
    `Outcome: ${printable(outcomeOf(attempt))}\n`,
    ...(related.length === 0
      ? []
      : [
          `See also, same controller and device: ${related.map((other) => relatedText(other, startedMs)).join(', ')}\n`,
        ]),
  ].join('')
}

/** Many attempts, a line each. */
export function attemptsText(attempts: readonly TracedAttempt[]): string {
  if (attempts.length === 0) return 'no attempts\n'
  return table(
    ['CODE', 'TIME (UTC)', 'KIND', 'DEVICE', 'FROM', 'OUTCOME'],
    attempts.map((attempt) => [
      ...[attempt.code, timeText(attempt.startedMs), attempt.asked?.kind ?? '-', attempt.id],
      ...[attempt.asked?.from ?? '-', outcomeOf(attempt)],
    ]),
  )
}

/** One attempt, for scripts. */
export const attemptJson = (attempt: TracedAttempt, related: readonly TracedAttempt[] = []): object => ({
  code: attempt.code,
  id: attempt.id,
  asked: attempt.asked,
  started: new Date(attempt.startedMs).toISOString(),
  sessions: attempt.sessions,
  outcome: outcomeOf(attempt),
  steps: attempt.steps.map(({ atMs, ...step }) => ({ time: new Date(atMs).toISOString(), ...step })),
  related: related.map(({ code }) => code),
})

function stepText({
  step,
  what = '',
  address,
  over,
  node,
  relay,
  session,
  bytes,
  lastedMs,
  partner,
}: SeenStep): string {
  const from = address === undefined ? '' : ` from ${address}`
  const reach = [over && `over ${over}`, address && `at ${address}`].filter(Boolean).join(' ')
  switch (step) {
    case 'asked':
      return 'the controller asked'
    case 'asked_again':
      return 'the controller asked again'
    case 'refused':
      return `refused: ${reasonOf(what)}`
    case 'unanswered':
      return `left without an answer: ${reasonOf(what)}`
    case 'pushed':
      return node === undefined
        ? `told the device ${PUSHED[what] ?? what}, ${reach}`
        : `told the device ${PUSHED[what] ?? what}, by way of node ${node}`
    case 'passed_on':
      return what === 'pushed'
        ? `told the device for that node, ${reach}`
        : `could not tell the device: ${reasonOf(what)}`
    case 'not_pushed':
      return `could not tell the device${node === undefined ? '' : ` by way of node ${node}`}: ${reasonOf(what)}`
    case 'answered':
      return `the device answered${from}: ${ANSWERED[what] ?? what}${relay === undefined ? '' : `, relay ${relay}`}`
    case 'ticket':
      return `relays know of the session${session === undefined ? '' : ` ${session}`}`
    case 'left':
      return `the controller closed its connection: ${reasonOf(what)}`
    case 'waiting':
      return `the first side waits${from}`
    case 'paired':
      return `both sides joined:${from}, and ${partner ?? 'one that came to another relay'}`
    case 'joined':
      return `a side${from} joined with one on another relay`
    case 'handed_over':
      return `a side${from} handed to the worker of the other`
    case 'turned_away':
      return `a side${from} turned away: ${reasonOf(what)}`
    case 'ended':
      return `over after ${seconds(lastedMs)} and ${bytes ?? 0} bytes: ${reasonOf(what)}`
    default:
      return step satisfies never
  }
}

const reasonOf = (what: string): string => REASONS[what] ?? what

const nodeText = ({ at, role }: SeenStep) => (role === 'relay' ? `relay ${at}` : at)

const seconds = (ms = 0): string => `${(ms / 1000).toFixed(1)} s`

const preciseTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 23).replace('T', ' ')} UTC`

function relatedText(other: TracedAttempt, startedMs: number): string {
  const later = (other.startedMs - startedMs) / 1000
  const when = later < 0 ? `${(-later).toFixed(1)} s before` : `${later.toFixed(1)} s later`
  return `${other.code} (${other.asked?.kind ?? '-'}, ${when})`
}
