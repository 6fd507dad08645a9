import { judgeSources } from './judge-sources.ts'
import type { PresenceTable } from './presence-table.ts'

/** Addresses that hide who is behind them, and by what they were recognised. */
export interface HiddenSourcesReport {
  readonly ips: readonly string[]
  readonly devices: number
  readonly connections: number
}

export interface HiddenSourcesOptions {
  /** The next hops of this machine's default routes; asked for now and then. */
  readonly gateways: () => readonly string[]
  /** Sources are hidden: said when it is found out, and every hour. */
  readonly onHidden: (report: HiddenSourcesReport) => void
  /** They are seen again. */
  readonly onSeen: (ips: readonly string[]) => void
}

const SURVEY_EVERY_MS = 1_000
const SURVEYED_ROWS = 1_000
const GATEWAYS_EVERY_MS = 60_000
const REPORT_EVERY_MS = 3_600_000
/** Devices that have gone say nothing: what was found holds for a while. */
const HOLD_MS = 600_000
/** Connections are counted for so long, and then anew. */
const CONNECTIONS_MS = 300_000

/**
 * Finds out whether address translation in front of this server hides who its clients are, as container networks do.
 * All of them would share the limits of one address then, so limits for such an address count devices instead.
 */
export class HiddenSources {
  readonly #options: HiddenSourcesOptions
  #ips: readonly string[] = []
  #gateways: readonly string[] = []
  #gatewaysAtMs = Number.NEGATIVE_INFINITY
  #surveyedAtMs = Number.NEGATIVE_INFINITY
  #foundAtMs = Number.NEGATIVE_INFINITY
  #reportedAtMs = Number.NEGATIVE_INFINITY
  #countedSinceMs = Number.NEGATIVE_INFINITY
  #connections = 0
  #connectionsFromGateways = 0

  constructor(options: HiddenSourcesOptions) {
    this.#options = options
  }

  /** Empty where sources are seen. */
  get ips(): readonly string[] {
    return this.#ips
  }

  /** Whether somebody at this address may be anybody. */
  isHidden(ip: string): boolean {
    return this.#ips.length > 0 && this.#ips.includes(ip)
  }

  noteConnection(ip: string): void {
    this.#connections++
    if (this.#gateways.includes(ip)) this.#connectionsFromGateways++
  }

  /** Looks around; may be called as often as one likes. */
  survey(presence: PresenceTable, nowMs: number): void {
    if (nowMs - this.#surveyedAtMs < SURVEY_EVERY_MS) return
    this.#surveyedAtMs = nowMs
    if (nowMs - this.#gatewaysAtMs >= GATEWAYS_EVERY_MS) {
      this.#gatewaysAtMs = nowMs
      this.#gateways = this.#options.gateways()
    }
    const { devices, byIp } = presence.survey(nowMs, SURVEYED_ROWS)
    const found = judgeSources({
      devices,
      devicesByIp: byIp,
      connections: this.#connections,
      connectionsFromGateways: this.#connectionsFromGateways,
      gateways: this.#gateways,
    })
    this.#settle(found, devices, nowMs)
    if (nowMs - this.#countedSinceMs < CONNECTIONS_MS) return
    this.#countedSinceMs = nowMs
    this.#connections = 0
    this.#connectionsFromGateways = 0
  }

  #settle(found: readonly string[], devices: number, nowMs: number): void {
    const { onHidden, onSeen } = this.#options
    if (found.length === 0) {
      if (this.#ips.length === 0 || nowMs - this.#foundAtMs < HOLD_MS) return
      const before = this.#ips
      this.#ips = []
      onSeen(before)
      return
    }
    const isNew = found.some((ip) => !this.#ips.includes(ip))
    this.#ips = found
    this.#foundAtMs = nowMs
    if (!isNew && nowMs - this.#reportedAtMs < REPORT_EVERY_MS) return
    this.#reportedAtMs = nowMs
    onHidden({ ips: found, devices, connections: this.#connections })
  }
}

/** Where nobody can tell what the machine's gateways are, one private address of all devices is recognised still. */
export const unreportedSources = (): HiddenSources =>
  new HiddenSources({ gateways: () => [], onHidden: () => undefined, onSeen: () => undefined })
