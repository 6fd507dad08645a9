import type { Duplex } from 'node:stream'
import type { Meeting, MeetingHalf, RelayHalf, SessionBroker } from '@tryst/relay'
import { StreamHalf } from '@tryst/transport'
import type { JoinRequest } from './hbbr.ts'

/** Streams to other relays. */
export interface RelayLinks {
  /** Undefined: the half has gone, its relay has, or cannot be reached. */
  openStream(node: string, request: JoinRequest): Promise<Duplex | undefined>
}

/** A broker whose memory is shared with other relays, and the streams to those. */
export class LinkedSessions implements SessionBroker {
  constructor(
    private readonly memory: Omit<SessionBroker, 'dial'>,
    private readonly links: RelayLinks,
  ) {}

  get requiresTickets(): boolean {
    return this.memory.requiresTickets
  }

  meet(half: MeetingHalf): Promise<Meeting> {
    return this.memory.meet(half)
  }

  met(uuid: string): void {
    this.memory.met(uuid)
  }

  leave(uuid: string, name: string): void {
    this.memory.leave(uuid, name)
  }

  async dial(node: string, uuid: string, half: string): Promise<RelayHalf | undefined> {
    const stream = await this.links.openStream(node, { uuid, half })
    return stream && new StreamHalf(stream)
  }
}
