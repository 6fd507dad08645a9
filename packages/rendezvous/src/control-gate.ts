import { sourcePrefix } from '@tryst/protocol'
import { type BoundedTable, boundedTable } from './bounded-table.ts'
import type { Cluster } from './cluster.ts'
import type { Clock } from './connection.ts'
import {
  type ControlAccounts,
  type ControlDecision,
  type ControlRequest,
  type ControlRule,
  decideControl,
} from './control-access.ts'
import type { PresenceTable } from './presence-table.ts'

export interface ControlGateParts {
  readonly rule: ControlRule
  /** Undefined: nobody has an account. */
  readonly accounts: ControlAccounts | undefined
  readonly presence: PresenceTable
  readonly cluster: Cluster
  readonly clock: Clock
}

/** Networks of which the other nodes were asked; of more, those asked for longest ago are forgotten. */
const MAX_NETWORKS = 10_000
/** How long it is remembered that a device is online elsewhere in a network, and that none is. */
const REMEMBER_DEVICE_MS = 10_000
const REMEMBER_NONE_MS = 2_000

/** Whether a device was online in a network, on another node. */
interface Remembered {
  readonly hasDevice: boolean
  readonly untilMs: number
}

/** Decides who may ask for devices: one place for every kind of request, whatever it came over. */
export class ControlGate {
  readonly #elsewhere: BoundedTable<Remembered>
  /** Networks of which the other nodes are being asked now. */
  readonly #asking = new Map<string, Promise<boolean>>()

  constructor(private readonly parts: ControlGateParts) {
    this.#elsewhere = boundedTable(parts.rule === 'registered' ? MAX_NETWORKS : 1)
  }

  /** Everybody may ask: nothing has to be found out. */
  get isOpen(): boolean {
    return this.parts.rule === 'anyone'
  }

  /** Rejects with StoreUnavailableError where it can't be told. */
  async decide({ initiator, token }: ControlRequest): Promise<ControlDecision> {
    const { rule, accounts } = this.parts
    const hasDeviceInNetwork = rule === 'registered' && (await this.#hasDevice(initiator.remote.ip))
    const account = rule === 'signed-in' && token !== '' ? await accounts?.find(token) : undefined
    return decideControl({ rule, hasDeviceInNetwork, account })
  }

  async #hasDevice(ip: string): Promise<boolean> {
    const { presence, cluster, clock } = this.parts
    if (presence.hasDeviceInNetwork(ip, clock())) return true
    if (cluster.isAlone) return false
    const network = sourcePrefix(ip)
    const known = this.#elsewhere.get(network)
    if (known && clock() < known.untilMs) return known.hasDevice
    // Whoever asks on and on must not use up what the nodes have for all.
    let asked = this.#asking.get(network)
    if (!asked) {
      asked = this.#ask(network, ip).finally(() => this.#asking.delete(network))
      this.#asking.set(network, asked)
    }
    return asked
  }

  async #ask(network: string, ip: string): Promise<boolean> {
    const { cluster, clock } = this.parts
    const hasDevice = await cluster.hasDeviceInNetwork(ip)
    this.#elsewhere.set(network, { hasDevice, untilMs: clock() + (hasDevice ? REMEMBER_DEVICE_MS : REMEMBER_NONE_MS) })
    return hasDevice
  }
}
