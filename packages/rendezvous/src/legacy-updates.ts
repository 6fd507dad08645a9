import { encodeRendezvous, type rendezvous } from '@tryst/protocol'
import type { Clock, DatagramPort } from './connection.ts'
import type { Counters } from './counters.ts'
import type { RendezvousEvents } from './events.ts'
import { isLoopback } from './loopback.ts'
import { ServerList, softwareVersionOf } from './server-list.ts'
import type { RendezvousSettings } from './settings.ts'
import { UnprovenAnswers } from './unproven-answers.ts'

export interface LegacyParts {
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
}

/** What old clients are told over UDP: a newer server list, a newer client (docs/protocol.md, server list). */
export class LegacyUpdates {
  readonly serverList: ServerList
  readonly #unproven = new UnprovenAnswers()
  readonly #softwareUrl: string
  readonly #softwareVersion: string

  constructor(
    { serial, rendezvousServers, softwareUrl }: RendezvousSettings,
    private readonly parts: LegacyParts,
  ) {
    this.serverList = new ServerList(serial, rendezvousServers)
    this.#softwareUrl = softwareUrl
    this.#softwareVersion = softwareVersionOf(softwareUrl)
  }

  /** The list for a client that holds `serial`, where ours is newer. */
  configUpdate(serial: number): rendezvous.ConfigUpdate.$Properties | undefined {
    if (!this.serverList.isNewerThan(serial)) return undefined
    return { serial: this.serverList.serial, rendezvousServers: [...this.serverList.servers] }
  }

  /** Gives a device the server list when it holds an older one. */
  onHeartbeat(serial: number, ip: string, port: number, datagrams: DatagramPort): void {
    const configureUpdate = this.configUpdate(serial)
    if (configureUpdate) this.#answer(encodeRendezvous({ configureUpdate }), ip, port, datagrams)
  }

  /** A newer list, which the server takes from its own host only. */
  onConfigureUpdate({ serial, rendezvousServers }: rendezvous.ConfigUpdate, ip: string): void {
    if (!isLoopback(ip)) {
      this.parts.counters.drops.not_loopback++
      return
    }
    if (!this.serverList.replace(serial, rendezvousServers)) return
    this.parts.events.serverListUpdated(this.serverList.serial, this.serverList.servers)
  }

  onSoftwareUpdate(version: string, ip: string, port: number, datagrams: DatagramPort): void {
    if (this.#softwareUrl === '' || version === this.#softwareVersion) return
    this.#answer(encodeRendezvous({ softwareUpdate: { url: this.#softwareUrl } }), ip, port, datagrams)
  }

  /** These answers are larger than what asks for them. */
  #answer(answer: Uint8Array, ip: string, port: number, datagrams: DatagramPort): void {
    if (this.#unproven.admit(ip, this.parts.clock())) datagrams.send(answer, ip, port)
    else this.parts.counters.drops.unproven_address++
  }
}
