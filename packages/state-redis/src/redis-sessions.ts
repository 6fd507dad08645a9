import type { NodeId, PeerId, RelayTickets } from '@tryst/rendezvous'
import type { LinkTarget, NodeLinksPort } from './node-links-port.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisNode } from './redis-node.ts'
import { ISSUE_TICKET, LEAVE_SESSION, MEET, MET } from './session-scripts.ts'

/** How long a ticket is good for, from its first issue on. */
export const TICKET_LIFETIME_MS = 60_000

/** A half that looks for its partner. */
export interface SessionHalf {
  readonly uuid: string
  /** What its relay calls it. */
  readonly name: string
  /** The device that it names; empty where it names none. */
  readonly device: string
  /** A half that it was told to join and did not find. */
  readonly gone?: { readonly node: string; readonly half: string }
}

/** What came of it; as in the relay's SessionBroker. */
export type SessionMeeting =
  | { readonly kind: 'wait'; readonly device: string | undefined }
  | { readonly kind: 'join'; readonly node: string; readonly half: string }
  | { readonly kind: 'no-ticket' }
  | { readonly kind: 'wrong-device' }
  | { readonly kind: 'used' }

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

/** Where the halves of sessions meet across relays, and whether somebody introduced them. For one relay. */
export class RedisSessions {
  readonly #connection: RedisConnection
  readonly #node: RedisNode
  readonly #links: Pick<NodeLinksPort, 'ticketFor'>
  readonly #requiresTickets: boolean

  constructor(
    {
      connection,
      node,
      links,
    }: { connection: RedisConnection; node: RedisNode; links: Pick<NodeLinksPort, 'ticketFor'> },
    { requiresTickets }: { readonly requiresTickets: boolean },
  ) {
    this.#connection = connection
    this.#node = node
    this.#links = links
    this.#requiresTickets = requiresTickets
  }

  /** Rejects with StoreUnavailableError. May be asked again for the same half. */
  async meet(half: SessionHalf): Promise<SessionMeeting> {
    const meeting = await this.#meet(half)
    if (meeting.kind !== 'join' || meeting.node === this.#node.incarnation) return meeting
    if (await this.#node.find(meeting.node as NodeId)) return meeting
    return this.#meet({ ...half, gone: meeting })
  }

  /** Both halves are here: nobody else is let in. Rejects with StoreUnavailableError. */
  async met(uuid: string): Promise<void> {
    await this.#connection.run({ script: MET, keys: [this.#connection.keys.session(uuid)], args: [] })
  }

  /** A half has gone, and what it was given is free again. Rejects with StoreUnavailableError. */
  async leave(uuid: string, name: string): Promise<void> {
    await this.#connection.run({
      script: LEAVE_SESSION,
      keys: [this.#connection.keys.session(uuid)],
      args: [this.#node.incarnation, name],
    })
  }

  /** Asks the ID servers themselves for a ticket. */
  async askIntroduced(uuid: string): Promise<IntroducedSession> {
    const idServers: LinkTarget[] = [...this.#node.others.values()].filter(({ role }) => role === 'id-server')
    let failed = 0
    const asked = idServers.map(async (node) => {
      const device = await this.#links.ticketFor(node, uuid).catch(() => {
        failed++
        return undefined
      })
      if (device === undefined) throw new Error('not introduced there')
      return device
    })
    try {
      return { kind: 'introduced', device: await Promise.any(asked) }
    } catch {
      return failed < idServers.length && idServers.length > 0 ? { kind: 'unknown' } : { kind: 'nobody-answers' }
    }
  }

  async #meet({ uuid, name, device, gone }: SessionHalf): Promise<SessionMeeting> {
    const reply = await this.#connection.run({
      script: MEET,
      keys: [this.#connection.keys.session(uuid)],
      args: [
        ...[this.#node.incarnation, name, device, this.#requiresTickets ? 1 : 0, TICKET_LIFETIME_MS],
        ...[gone?.node ?? '', gone?.half ?? ''],
      ],
    })
    const [kind, issuedFor, node, half] = reply as [SessionMeeting['kind'], string, string, string]
    if (kind === 'wait') return { kind, device: issuedFor === '' ? undefined : issuedFor }
    return kind === 'join' ? { kind, node, half } : { kind }
  }
}
