import { encodeRendezvous } from '@tryst/protocol'
import type { Cluster } from './cluster.ts'
import type { Clock, DatagramPort } from './connection.ts'
import type { Counters } from './counters.ts'
import type { PresenceTable } from './presence-table.ts'
import { UnprovenAnswers } from './unproven-answers.ts'

export interface UdpNatTestParts {
  readonly cluster: Cluster
  readonly presence: PresenceTable
  readonly counters: Counters
  readonly clock: Clock
  /** Whether a TCP connection from this address is open here. */
  readonly hasConnection: (ip: string) => boolean
}

/**
 * TestNatRequest over UDP: a controller learns the port that its punch socket has outside (docs/protocol.md, NAT test
 * over UDP). The answer is larger than the question, and the question may name anybody as its sender.
 */
export class UdpNatTest {
  readonly #unproven = new UnprovenAnswers()

  constructor(private readonly parts: UdpNatTestParts) {}

  answer(ip: string, port: number, datagrams: DatagramPort): void {
    const { counters } = this.parts
    if (!this.#mayAnswer(ip)) {
      counters.drops.unproven_address++
      return
    }
    counters.udpNatTests++
    datagrams.send(encodeRendezvous({ testNatResponse: { port } }), ip, port)
  }

  /** Controllers hold a connection while they test; where there are several nodes it may be another's. */
  #mayAnswer(ip: string): boolean {
    const { cluster, presence, clock, hasConnection } = this.parts
    if (hasConnection(ip)) return true
    const nowMs = clock()
    // Bounds the searches, too.
    if (!this.#unproven.admit(ip, nowMs)) return false
    return !cluster.isAlone || presence.hasDeviceAt(ip, nowMs)
  }
}
