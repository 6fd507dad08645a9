import type { Endpoint } from '@tryst/protocol'
import { addressOf, CloneWatch, ELSEWHERE, type Heard } from './clone-watch.ts'
import type { Clock } from './connection.ts'
import type { Counters } from './counters.ts'
import type { RendezvousEvents } from './events.ts'
import type { PeerId } from './peer-identity.ts'
import type { Presence, PresenceTable } from './presence-table.ts'

export interface ClonesParts {
  /** Whether the later one of two machines is made to draw another id. */
  readonly heal: boolean
  readonly presence: PresenceTable
  /** The IP that another node hears the device from. */
  readonly ipElsewhere: (id: PeerId) => Promise<string | undefined>
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
}

/** What is done about machines that share an identity (docs/protocol.md, two machines with one ID). */
export class Clones {
  readonly watch = new CloneWatch()

  constructor(private readonly parts: ClonesParts) {}

  /** The device has registered over UDP. @param here where it was until now */
  registered(id: PeerId, from: Endpoint, here: Presence | undefined): void {
    const { counters, clock } = this.parts
    const clone = this.watch.registered(id, from.ip, from.port, heardAt(here), clock())
    if (!clone?.isNews) return
    counters.clones++
    this.#report(id, from, clone.original)
  }

  /** Whether this registration is the later one's, and it is to draw another id. */
  refuses(id: PeerId, { ip, port }: Endpoint): boolean {
    if (!this.parts.heal || !this.watch.isNewcomer(id, ip, port, this.parts.clock())) return false
    this.watch.told(id, ip, port)
    return true
  }

  /** Another node has taken the device. */
  takenElsewhere(id: PeerId): void {
    const here = this.#here(id)
    if (here) this.watch.takenElsewhere(id, here, this.parts.clock())
  }

  /** This node has taken the device from another one. */
  tookFromElsewhere(id: PeerId): void {
    const here = this.#here(id)
    if (here) this.watch.tookFromElsewhere(id, here.address, this.parts.clock())
  }

  #here(id: PeerId): Heard | undefined {
    return heardAt(this.parts.presence.find(id, this.parts.clock()))
  }

  #report(id: PeerId, newcomer: Endpoint, original: string): void {
    const { heal, events, ipElsewhere } = this.parts
    if (original !== ELSEWHERE) return events.cloneFound(id, newcomer, original, heal)
    ipElsewhere(id)
      .catch(() => undefined)
      .then((ip) => events.cloneFound(id, newcomer, ip ?? ELSEWHERE, heal))
  }
}

/** Over UDP only: who keeps a connection has no rhythm. */
function heardAt(here: Presence | undefined): Heard | undefined {
  if (!here?.online || !Number.isFinite(here.lastSeenMs)) return undefined
  return { address: addressOf(here.ip, here.port), lastSeenMs: here.lastSeenMs }
}
