import type { Meeting, MeetingHalf, RelayHalf, SessionBroker } from '@tryst/relay'
import type { NodeId } from '@tryst/rendezvous'
import type { SharedNode } from '@tryst/shared-node'
import type { RedisSessions } from '@tryst/state-redis'
import { StreamHalf } from '@tryst/transport'

type Sessions = Pick<RedisSessions, 'requiresTickets' | 'meet' | 'met' | 'leave' | 'askIntroduced'>
type Links = Pick<SharedNode['links'], 'openStream'>
type Nodes = Pick<SharedNode['node'], 'find'>

/** Halves meet in Redis, and reach each other over the links between relays. */
export class SharedBroker implements SessionBroker {
  constructor(
    private readonly sessions: Sessions,
    private readonly links: Links,
    private readonly nodes: Nodes,
  ) {}

  get requiresTickets(): boolean {
    return this.sessions.requiresTickets
  }

  async meet(half: MeetingHalf): Promise<Meeting> {
    const meeting = await this.sessions.meet(half)
    if (meeting.kind !== 'unavailable' || !this.requiresTickets) return meeting
    const session = await this.sessions.askIntroduced(half.uuid)
    switch (session.kind) {
      case 'introduced':
        if (half.device !== '' && half.device !== session.device) return { kind: 'wrong-device' }
        // Its partner was sent to the same relay.
        return { kind: 'wait', device: session.device }
      case 'unknown':
        return { kind: 'no-ticket' }
      default:
        return meeting
    }
  }

  met(uuid: string): void {
    this.sessions.met(uuid)
  }

  leave(uuid: string, name: string): void {
    this.sessions.leave(uuid, name)
  }

  async dial(node: string, uuid: string, half: string): Promise<RelayHalf | undefined> {
    try {
      const known = await this.nodes.find(node as NodeId)
      if (!known) return undefined
      const stream = await this.links.openStream(known, { uuid, half })
      return stream === 'gone' ? undefined : new StreamHalf(stream)
    } catch {
      // Whoever waits there can't be reached: as good as gone. The links log it.
      return undefined
    }
  }
}
