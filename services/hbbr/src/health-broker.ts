import type { Meeting, MeetingHalf, RelayHalf, SessionBroker } from '@tryst/relay'
import { HEALTH_DEVICE, isHealthSession } from '@tryst/service/health-session'

/** Lets the sessions of health checks through, which no ID server introduces; all others are the broker's. */
export class HealthBroker implements SessionBroker {
  constructor(
    private readonly others: SessionBroker,
    private readonly secretKey: Uint8Array,
  ) {}

  get requiresTickets(): boolean {
    return this.others.requiresTickets
  }

  async meet(half: MeetingHalf): Promise<Meeting> {
    return this.#isOurs(half.uuid) ? { kind: 'wait', device: HEALTH_DEVICE } : this.others.meet(half)
  }

  met(uuid: string): void {
    if (!this.#isOurs(uuid)) this.others.met(uuid)
  }

  leave(uuid: string, name: string): void {
    if (!this.#isOurs(uuid)) this.others.leave(uuid, name)
  }

  dial(...call: Parameters<SessionBroker['dial']>): Promise<RelayHalf | undefined> {
    return this.others.dial(...call)
  }

  handOver(node: string, half: RelayHalf, stream: () => Uint8Array): boolean {
    return this.others.handOver?.(node, half, stream) ?? false
  }

  #isOurs(uuid: string): boolean {
    return isHealthSession(uuid, this.secretKey)
  }
}
