import { encodeRendezvous } from '@tryst/protocol'
import type { Cluster } from './cluster.ts'
import type { ClientConnection, Clock } from './connection.ts'
import type { ControlGate } from './control-gate.ts'
import type { Counters } from './counters.ts'
import type { RendezvousEvents } from './events.ts'
import { onlineBitmap } from './online-query.ts'
import type { PeerId } from './peer-identity.ts'
import type { PresenceTable } from './presence-table.ts'

export interface OnlineAnswersParts {
  readonly presence: PresenceTable
  readonly cluster: Cluster
  readonly gate: ControlGate
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
}

/** Tells clients which devices of their address books are online (docs/protocol.md, online query). */
export class OnlineAnswers {
  /** Whose query is under way. Stock clients wait for its answer; what others ask besides gets none. */
  readonly #asking = new WeakSet<ClientConnection>()

  constructor(private readonly parts: OnlineAnswersParts) {}

  /** @param done after the answer, or when there can be none */
  answer(connection: ClientConnection, peers: readonly string[], done: () => void): void {
    const { counters, gate, events } = this.parts
    counters.onlineQueries++
    if (this.#asking.has(connection)) {
      counters.requests.too_many++
      return
    }
    this.#asking.add(connection)
    const tell = (online: readonly boolean[]) => {
      this.#asking.delete(connection)
      connection.send(encodeRendezvous({ onlineResponse: { states: onlineBitmap(online) } }))
      done()
    }
    // No answer leaves the client's list as it is; a wrong one would not.
    const giveUp = (error: unknown) => {
      this.#asking.delete(connection)
      events.unavailable('request', error)
      connection.close()
    }
    if (gate.isOpen) return this.#look(peers, tell, giveUp)
    gate
      .decide({ initiator: connection, token: '' })
      // Whoever may not ask for devices is not told which are there.
      .then((decision) => {
        if (decision === 'allowed') this.#look(peers, tell, giveUp)
        else tell(new Array<boolean>(peers.length).fill(false))
      })
      .catch(giveUp)
  }

  #look(peers: readonly string[], tell: (online: readonly boolean[]) => void, giveUp: (error: unknown) => void): void {
    const { presence, cluster, clock } = this.parts
    const nowMs = clock()
    const online = peers.map((id) => presence.isOnline(id as PeerId, nowMs))
    const elsewhere = cluster.isAlone ? [] : [...online.keys()].filter((i) => !online[i])
    if (elsewhere.length === 0) return tell(online)
    cluster
      .locate(elsewhere.map((i) => peers[i] as PeerId))
      .then((locations) => {
        for (const [k, i] of elsewhere.entries()) online[i] = locations[k] !== undefined
        tell(online)
      })
      .catch(giveUp)
  }
}
