import type { HalfPlace, Meeting, MeetingHalf, SessionBroker } from '@tryst/relay'
import { type NodeId, type PeerId, type RelayTickets, StoreUnavailableError } from '@tryst/rendezvous'
import type { LinkTarget, NodeLinksPort } from './node-links-port.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisNode } from './redis-node.ts'
import { ISSUE_TICKET, LEAVE_SESSION, MEET, MET } from './session-scripts.ts'

/** How long a ticket is good for, from its first issue on. */
export const TICKET_LIFETIME_MS = 60_000

/** What ID servers know of a session while Redis can't be asked. */
export type IntroducedSession =
  | { readonly kind: 'introduced'; readonly device: string }
  /** All were asked. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'nobody-answers' }

/** Leaves tickets for relays. */
export class RedisTickets implements RelayTickets {
  constructor(private readonly connection: RedisConnection) {}

  async issue(uuid: string, device: PeerId): Promise<void> {
    const { keys } = this.connection
    await this.connection.run({
      script: ISSUE_TICKET,
      keys: [keys.session(uuid)],
      args: [device, TICKET_LIFETIME_MS],
    })
  }
}

export interface RedisSessionsParts {
  readonly connection: RedisConnection
  readonly node: RedisNode
  readonly links: Pick<NodeLinksPort, 'ticketFor'>
  /** True: halves that no ID server introduced are turned away. */
  readonly requiresTickets: boolean
}

const MAX_UNTOLD = 20_000

/**
 * Where the halves of sessions meet across relays, and whether somebody introduced them: a relay's SessionBroker but for
 * the streams between relays.
 */
export class RedisSessions implements Omit<SessionBroker, 'dial'> {
  readonly requiresTickets: boolean
  readonly #connection: RedisConnection
  readonly #node: RedisNode
  readonly #links: Pick<NodeLinksPort, 'ticketFor'>
  /** Sessions that are over, and Redis may not know (performance.now()). */
  readonly #untold = new Map<string, number>()
  readonly #telling = new Set<Promise<void>>()
  readonly #stopListening: () => void

  constructor({ connection, node, links, requiresTickets }: RedisSessionsParts) {
    this.requiresTickets = requiresTickets
    this.#connection = connection
    this.#node = node
    this.#links = links
    this.#stopListening = node.onTurn(() => this.#tellAgain())
  }

  async meet(half: MeetingHalf): Promise<Meeting> {
    try {
      return await this.#meetAlive(half)
    } catch (error) {
      if (error instanceof StoreUnavailableError) return { kind: 'unavailable' }
      throw error
    }
  }

  met(uuid: string): void {
    if (this.#untold.size < MAX_UNTOLD) this.#untold.set(uuid, performance.now())
    this.#tellOver(uuid)
  }

  leave(uuid: string, name: string): void {
    // Where this is lost, the next half finds the place empty when it comes there.
    this.#track(this.#leave(uuid, this.#node.incarnation, name).catch(() => {}))
  }

  /** Asks the ID servers themselves for a ticket; for when Redis can't be asked. */
  async askIntroduced(uuid: string): Promise<IntroducedSession> {
    const idServers: LinkTarget[] = [...this.#node.others.values()].filter(({ role }) => role === 'id-server')
    let denied = 0
    const asked = idServers.map(async (node) => {
      const device = await this.#links.ticketFor(node, uuid)
      if (device !== undefined) return device
      denied++
      throw new Error('not introduced there')
    })
    try {
      return { kind: 'introduced', device: await Promise.any(asked) }
    } catch {
      return denied > 0 ? { kind: 'unknown' } : { kind: 'nobody-answers' }
    }
  }

  /** What was told has taken effect, or will not. */
  async settled(): Promise<void> {
    await Promise.all(this.#telling)
  }

  /** May be called twice. */
  close(): void {
    this.#stopListening()
  }

  /** As `meet`, past halves of relays that have died. */
  async #meetAlive(half: MeetingHalf): Promise<Meeting> {
    const { meeting, other } = await this.#meet(half)
    if (!other || other.node === this.#node.incarnation || (await this.#node.find(other.node as NodeId))) return meeting
    if (meeting.kind === 'join') return (await this.#meet({ ...half, gone: other })).meeting
    await this.#leave(half.uuid, other.node, other.half)
    return (await this.#meet(half)).meeting
  }

  async #meet({ uuid, name, device, gone }: MeetingHalf): Promise<{ meeting: Meeting; other?: HalfPlace }> {
    const reply = await this.#connection.run({
      script: MEET,
      keys: [this.#connection.keys.session(uuid)],
      args: [
        ...[this.#node.incarnation, name, device, this.requiresTickets ? 1 : 0, TICKET_LIFETIME_MS],
        ...[gone?.node ?? '', gone?.half ?? ''],
      ],
    })
    const [kind, issuedFor, node, otherHalf] = reply as [Exclude<Meeting['kind'], 'unavailable'>, ...string[]]
    const other = { node: node ?? '', half: otherHalf ?? '' }
    switch (kind) {
      case 'wait':
        return { meeting: { kind, device: issuedFor || undefined } }
      case 'join':
        return { meeting: { kind, ...other }, other }
      case 'busy':
        return { meeting: { kind }, other }
      default:
        return { meeting: { kind } }
    }
  }

  async #leave(uuid: string, node: string, name: string): Promise<void> {
    await this.#connection.run({
      script: LEAVE_SESSION,
      keys: [this.#connection.keys.session(uuid)],
      args: [node, name],
    })
  }

  #tellOver(uuid: string): void {
    const told = this.#connection.run({ script: MET, keys: [this.#connection.keys.session(uuid)], args: [] })
    this.#track(
      told.then(
        () => void this.#untold.delete(uuid),
        () => {},
      ),
    )
  }

  #tellAgain(): void {
    if (this.#untold.size === 0 || this.#connection.state !== 'up') return
    const nowMs = performance.now()
    for (const [uuid, sinceMs] of [...this.#untold]) {
      // Its ticket has lapsed.
      if (nowMs - sinceMs > TICKET_LIFETIME_MS) this.#untold.delete(uuid)
      else this.#tellOver(uuid)
    }
  }

  #track(telling: Promise<void>): void {
    this.#telling.add(telling)
    telling.finally(() => this.#telling.delete(telling))
  }
}
