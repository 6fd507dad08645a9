import { formatEndpoint } from '@tryst/protocol'
import type { Contradicting, LimitName, RendezvousEvents } from '@tryst/rendezvous'
import type { Logger } from '@tryst/service'
import type { ConnectionLimit } from '@tryst/transport'

/** How often one limit, and one thing that is not available, is written to the log at most. */
const LIMIT_LOG_EVERY_MS = 60_000
/** Ids that are logged within `LIMIT_LOG_EVERY_MS` at most. */
const MAX_CONTRADICTIONS_LOGGED = 100

/** Devices that were told NOT_DEPLOYED and are logged within `LIMIT_LOG_EVERY_MS` at most. */
const MAX_NOT_ADMITTED_LOGGED = 100

/** Limits of the core, and those of the connections. */
export type HbbsLimit = LimitName | ConnectionLimit

/** The setting behind each limit, and what an operator can do. */
export const LIMIT_REMEDIES: Readonly<Record<HbbsLimit, string>> = {
  connections_per_source: 'raise CONNECTIONS_PER_SOURCE for many clients behind one address, else block the source',
  connections_total: 'raise CONNECTIONS_TOTAL and the limit of open files, or start another node',
  'new-ids-per-minute': 'raise NEW_IDS_PER_MINUTE while many devices behind one address are set up',
  'new-ids-per-day': 'raise NEW_IDS_PER_DAY while many devices behind one address are set up',
  'key-changes': 'a device changes its key again and again: look for two devices with one id and uuid',
  'lookups-per-minute': 'raise LOOKUPS_PER_MINUTE for a large fleet behind one address, else block the source',
  'uuid-mismatch-silence': 'a device uses an id that another one has: give it a new id',
  'id-changes': 'a device changes its ID again and again; each keeps the old one from others for OLD_ID_HOLD',
  'wrong-uuids-per-minute': 'somebody tries to give devices of others another ID: block the source',
  devices: 'raise MAX_DEVICES, or start another node',
  'devices-on-connections': 'raise CONNECTIONS_TOTAL and the limit of open files, or start another node',
  'sessions-per-minute':
    'more than 10,000 relayed sessions of one address within a minute: relays that demand tickets will not know the others; block the source',
  'pending-registrations': 'the store is slower than the registrations: look at its disk',
}

type Unavailable = Parameters<RendezvousEvents['unavailable']>[0]

/** Writes what happens to the log; limits and what is not available once a minute each, with the number of times. */
export class EventLog implements RendezvousEvents {
  #contradicted = { sinceMs: Number.NEGATIVE_INFINITY, ids: new Set<string>() }
  #notAdmitted = { sinceMs: Number.NEGATIVE_INFINITY, ids: new Set<string>() }
  readonly #limits = new Map<HbbsLimit, Counted>()
  readonly #refusals = new Map<Parameters<RendezvousEvents['controlRefused']>[2], Counted>()
  readonly #unavailable = new Map<Unavailable, Counted>()

  constructor(
    private readonly log: Logger,
    private readonly onLimit: (limit: HbbsLimit) => void,
  ) {}

  registered: RendezvousEvents['registered'] = (id, from, how) =>
    this.log.info({ id, from: formatEndpoint(from), how }, 'device registered')

  uuidMismatch: RendezvousEvents['uuidMismatch'] = (id, from) =>
    this.log.warn({ id, from: formatEndpoint(from) }, `Peer ${printable(id)} uuid mismatch`)

  /** Each id once a minute, since devices repeat themselves. */
  identityContradicted: RendezvousEvents['identityContradicted'] = (id, from, registering, stored) => {
    const nowMs = performance.now()
    if (nowMs - this.#contradicted.sinceMs >= LIMIT_LOG_EVERY_MS)
      this.#contradicted = { sinceMs: nowMs, ids: new Set() }
    const { ids } = this.#contradicted
    if (ids.has(id) || ids.size >= MAX_CONTRADICTIONS_LOGGED) return
    ids.add(id)
    const remedy = 'find out which of the two devices has the id, and import its record with --replace'
    this.log.error(
      { id, from: formatEndpoint(from), registering: sideOf(registering), stored: sideOf(stored), remedy },
      `Peer ${printable(id)} is stored with another uuid or key than was acknowledged`,
    )
  }

  /** Each id once a minute, since devices repeat themselves. */
  notAdmitted: RendezvousEvents['notAdmitted'] = (id, from, { why, waits, registeredFrom }) => {
    const nowMs = performance.now()
    if (nowMs - this.#notAdmitted.sinceMs >= LIMIT_LOG_EVERY_MS) this.#notAdmitted = { sinceMs: nowMs, ids: new Set() }
    const { ids } = this.#notAdmitted
    if (ids.has(id) || ids.size >= MAX_NOT_ADMITTED_LOGGED) return
    ids.add(id)
    const remedy = waits ? 'look at tryst devices list, then approve or refuse it' : undefined
    this.log.warn(
      { id: printable(id), from: formatEndpoint(from), why, registeredFrom: registeredFrom || undefined, remedy },
      waits ? 'device waits for approval' : 'device not admitted',
    )
  }

  /** Once a minute, since whoever is refused may ask again and again. */
  controlRefused: RendezvousEvents['controlRefused'] = (id, from, why) => {
    const times = timesToLog(this.#refusals, why)
    if (times === undefined) return
    const remedy = 'see ALLOW_CONTROL in docs/access.md'
    this.log.warn({ id: printable(id), from: formatEndpoint(from), why, times, remedy }, 'controller not allowed')
  }

  /** Its form is stable: docs/operating.md, fail2ban. */
  newKeyRefused: RendezvousEvents['newKeyRefused'] = (id, from, registeredFrom) =>
    this.log.warn(
      { remedy: 'look at tryst devices list, then approve or refuse it' },
      `New key refused from ${formatEndpoint(from)} for peer ${printable(id)} - registered from ${registeredFrom || 'nowhere known'}`,
    )

  cloneFound: RendezvousEvents['cloneFound'] = (id, newcomer, original, isHealed) =>
    this.log.warn(
      {
        ...{ id: printable(id), newcomer: formatEndpoint(newcomer), original },
        remedy: isHealed
          ? 'the newcomer is made to draw another ID'
          : 'give one of them another ID and uuid, or set HEAL_CLONES=Y',
      },
      'two machines share one ID, uuid and key',
    )

  idChanged: RendezvousEvents['idChanged'] = (before, after, from) =>
    this.log.info({ id: after, before, from: formatEndpoint(from) }, 'device has another id')

  idTakenBack: RendezvousEvents['idTakenBack'] = (id, instead) =>
    this.log.warn({ id, instead }, 'device goes on under the id that it had given up')

  /** Its form is stable: docs/operating.md, fail2ban. */
  idChangeRefused: RendezvousEvents['idChangeRefused'] = (id, from) =>
    this.log.warn(`Change of ID refused from ${formatEndpoint(from)} for peer ${printable(id)} - invalid uuid`)

  /** Its form is stable: docs/operating.md, fail2ban. */
  keyMismatch: RendezvousEvents['keyMismatch'] = (id, from) =>
    this.log.warn(`Authentication failed from ${formatEndpoint(from)} for peer ${printable(id)} - invalid key`)

  ipChanged: RendezvousEvents['ipChanged'] = (id, fromIp, toIp) =>
    this.log.debug({ id, fromIp, toIp }, 'device moved, its key is asked for')

  serverListUpdated: RendezvousEvents['serverListUpdated'] = (serial, servers) =>
    this.log.info({ serial, servers }, 'server list updated')

  /** Strangers ask for things too: while the state is away each of their requests would be a line. */
  unavailable: RendezvousEvents['unavailable'] = (what, err) => {
    const times = timesToLog(this.#unavailable, what)
    if (times === undefined) return
    if (what !== 'api') this.log.error({ err, what, times }, 'state not available')
    else this.log.warn({ err, times }, 'the API does not answer requests that came over the main port; check API_URL')
  }

  limitHit: RendezvousEvents['limitHit'] = (limit, source) => this.#hit(limit, source)

  connectionLimit(limit: ConnectionLimit, source: string): void {
    this.#hit(limit, source)
  }

  #hit(limit: HbbsLimit, source: string): void {
    this.onLimit(limit)
    const times = timesToLog(this.#limits, limit)
    if (times !== undefined) this.log.warn({ limit, source, times, remedy: LIMIT_REMEDIES[limit] }, 'limit hit')
  }
}

/** How often something happened since `sinceMs`, when it was logged last. */
interface Counted {
  readonly sinceMs: number
  times: number
}

/** Undefined: it was logged less than a minute ago. Else how often it happened since, this time included. */
function timesToLog<What>(counted: Map<What, Counted>, what: What): number | undefined {
  const nowMs = performance.now()
  const seen = counted.get(what)
  if (seen && nowMs - seen.sinceMs < LIMIT_LOG_EVERY_MS) {
    seen.times++
    return undefined
  }
  counted.set(what, { sinceMs: nowMs, times: 0 })
  return (seen?.times ?? 0) + 1
}

const sideOf = ({ uuid, publicKey, ip }: Contradicting) => ({
  ip,
  uuid: printable(Buffer.from(uuid).toString('latin1')),
  publicKey: Buffer.from(publicKey).toString('base64'),
})

/** A stranger's text in a log line: no control characters, no length to speak of. */
function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 100)
}
