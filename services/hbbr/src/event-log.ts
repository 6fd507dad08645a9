import { type Endpoint, formatEndpoint } from '@tryst/protocol'
import type { ArrivalEnd, RelayEvents } from '@tryst/relay'
import type { Logger } from '@tryst/service'
import { looksLikeHealthSession } from '@tryst/service/health-session'
import type { ConnectionLimit } from '@tryst/transport'

export type RelayLimit = ConnectionLimit | ArrivalLimit

type ArrivalLimit = 'waiting_source_full' | 'waiting_total_full' | 'unticketed_source_full' | 'unticketed_total_full'

/** Halves that the ticket rules kept out, in words for the log. */
const NOT_INTRODUCED: { readonly [Reason in ArrivalEnd]?: string } = {
  no_ticket: 'no ID server introduced this session',
  wrong_device: 'the session is with another device',
  ticket_used: 'both sides of the session have come already',
  broker_unavailable: 'nobody can be asked whether it was introduced',
  partner_unreachable: 'its partner waits on a relay that cannot be reached',
}

/** How often one limit is written to the log at most. */
const LIMIT_LOG_EVERY_MS = 60_000

/** The setting behind each limit. */
const LIMIT_REMEDIES: Readonly<Record<RelayLimit, string>> = {
  connections_per_source: 'raise CONNECTIONS_PER_SOURCE for many clients behind one address, else block the source',
  connections_total: 'raise RELAY_CONNECTIONS_TOTAL, or start another relay',
  waiting_source_full: 'raise WAITING_PER_SOURCE for many clients behind one address, else block the source',
  waiting_total_full: 'raise WAITING_TOTAL, or set a key so that strangers cannot wait here',
  unticketed_source_full:
    'raise UNTICKETED_PER_SOURCE where tickets are late, else block the source: it names sessions that no ID server introduced',
  unticketed_total_full:
    'raise UNTICKETED_TOTAL where tickets are late, else set a key so that strangers cannot wait here',
}

/** Writes what happens to the log; limits once a minute each, with the number of times. */
export class EventLog implements RelayEvents {
  readonly limitHits: Record<RelayLimit, number> = {
    connections_per_source: 0,
    connections_total: 0,
    waiting_source_full: 0,
    waiting_total_full: 0,
    unticketed_source_full: 0,
    unticketed_total_full: 0,
  }
  readonly #loggedLimits = new Map<RelayLimit, { readonly atMs: number; readonly hits: number }>()

  #acceptFailedAtMs = Number.NEGATIVE_INFINITY
  #brokerFailedAtMs = Number.NEGATIVE_INFINITY

  constructor(private readonly log: Logger) {}

  /** The second halves of checks of health; each is there for a few milliseconds. */
  readonly #checks = new Set<string>()

  waiting: RelayEvents['waiting'] = (uuid, from) =>
    this.log[isCheck(uuid, from) ? 'debug' : 'info'](
      `New relay request ${printable(uuid)} from ${formatEndpoint(from)}`,
    )

  paired: RelayEvents['paired'] = (uuid, second, mode) => {
    if (isCheck(uuid, second)) {
      this.#checks.add(formatEndpoint(second))
      return
    }
    this.log.info({ mode }, `Relayrequest ${printable(uuid)} from ${formatEndpoint(second)} got paired`)
    if (mode === 'raw') this.log.info('Both are raw')
  }

  joined: RelayEvents['joined'] = (uuid, local, mode) =>
    this.log.info(
      { mode },
      `Relayrequest ${printable(uuid)} from ${formatEndpoint(local)} got joined with another relay`,
    )

  handedOver: RelayEvents['handedOver'] = (uuid, half) =>
    this.log.debug(`Relayrequest ${printable(uuid)} from ${formatEndpoint(half)} handed to the worker of its partner`)

  brokerFailed: RelayEvents['brokerFailed'] = (err) => {
    const now = performance.now()
    if (now - this.#brokerFailedAtMs < LIMIT_LOG_EVERY_MS) return
    this.#brokerFailedAtMs = now
    this.log.error({ err }, 'a session cannot be looked up; its halves are treated as if nobody could be asked')
  }

  turnedAway: RelayEvents['turnedAway'] = (reason, from) => {
    const address = formatEndpoint(from)
    // Its form is stable: docs/operating.md, fail2ban.
    if (reason === 'key_mismatch') this.log.warn(`Relay authentication failed from ${address} - invalid key`)
    else if (reason === 'blocked_address') this.log.info({ from: address }, 'IP blocked')
    else if (isLimit(reason)) this.limitHit(reason, from.ip)
    else if (NOT_INTRODUCED[reason] !== undefined)
      this.log.info({ from: address, reason }, `Relay refused for ${address} - ${NOT_INTRODUCED[reason]}`)
    else this.log.debug({ from: address, reason }, 'connection turned away')
  }

  pairEnded: RelayEvents['pairEnded'] = (reason, second, ageMs, totalBits) => {
    if (this.#checks.delete(formatEndpoint(second))) return
    this.log.info(
      { reason, ageMs: Math.round(ageMs), bytes: totalBits / 8 },
      `Relay of ${formatEndpoint(second)} closed${reason === 'idle' ? ': Timeout' : ''}`,
    )
  }

  downgraded: RelayEvents['downgraded'] = (second, thresholdBitsPerMs, ageMs) =>
    this.log.info(
      `Downgrade ${formatEndpoint(second)}, exceed downgrade threshold ${thresholdBitsPerMs}bit/ms in ${Math.round(ageMs)}ms`,
    )

  /** A port can't accept for a moment; said once a minute, since each connection that comes would say it. */
  acceptFailed = (err: Error): void => {
    const now = performance.now()
    if (now - this.#acceptFailedAtMs < LIMIT_LOG_EVERY_MS) return
    this.#acceptFailedAtMs = now
    const remedy = 'with EMFILE raise the limit of open files (ulimit -n), or lower RELAY_CONNECTIONS_TOTAL'
    this.log.error({ err, remedy }, 'listener.accept failed')
  }

  withdrawFailed = (err: unknown): void =>
    this.log.warn({ err }, 'ID servers could not be told that this relay stops; they notice when its lease has lapsed')

  readsPortably = (): void =>
    this.log.warn('this Node.js is not known: connections are read the portable way, which takes more processor time')

  limitHit(limit: RelayLimit, source: string): void {
    const hits = ++this.limitHits[limit]
    const now = performance.now()
    const logged = this.#loggedLimits.get(limit)
    if (logged && now - logged.atMs < LIMIT_LOG_EVERY_MS) return
    this.#loggedLimits.set(limit, { atMs: now, hits })
    this.log.warn({ limit, source, times: hits - (logged?.hits ?? 0), remedy: LIMIT_REMEDIES[limit] }, 'limit hit')
  }
}

/** A check of health comes every few seconds, from this machine: nobody wants to read of it. */
const isCheck = (uuid: string, from: Endpoint): boolean =>
  (from.ip.startsWith('127.') || from.ip === '::1') && looksLikeHealthSession(uuid)

const ARRIVAL_LIMITS: readonly ArrivalEnd[] = [
  'waiting_source_full',
  'waiting_total_full',
  'unticketed_source_full',
  'unticketed_total_full',
] satisfies ArrivalLimit[]

const isLimit = (reason: ArrivalEnd): reason is ArrivalLimit => ARRIVAL_LIMITS.includes(reason)

/** A stranger's text in a log line: no control characters, no length to speak of. */
const printable = (text: string): string => text.replace(/[^\x21-\x7e]/g, '?').slice(0, 100)
