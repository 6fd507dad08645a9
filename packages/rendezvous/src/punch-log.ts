import type { Endpoint } from '@tryst/protocol'
import type { PeerId } from './peer-identity.ts'

const REPEAT_MS = 60_000
const REPEATS_LOOKED_FOR = 30
const MAX_RECORDS = 1_000

interface PunchRecord {
  readonly atMs: number
  readonly from: Endpoint
  readonly fromIp: string
  readonly id: PeerId
  readonly to: string
}

/** The last punch requests, for the console. Repeats within a minute are noted once. */
export class PunchLog {
  #records: PunchRecord[] = []

  add(from: Endpoint, id: PeerId, deviceIp: string, nowMs: number): void {
    for (let i = this.#records.length - 1; i >= Math.max(0, this.#records.length - REPEATS_LOOKED_FOR); i--) {
      const record = this.#records[i]
      if (record?.id === id && record.fromIp === from.ip && record.from.port === from.port) {
        if (nowMs - record.atMs < REPEAT_MS) return
        break
      }
    }
    this.#records.push({ atMs: nowMs, from, fromIp: from.ip, id, to: deviceIp })
    if (this.#records.length > 2 * MAX_RECORDS) this.#records = this.#records.slice(-MAX_RECORDS)
  }

  clear(): void {
    this.#records = []
  }

  /** Oldest first: `TIME FROM -> ID@TO`. */
  page(start: number, size: number): string[] {
    return this.#records
      .slice(-MAX_RECORDS)
      .slice(start, start + size)
      .map(({ atMs, fromIp, id, to }) => `${new Date(atMs).toISOString().slice(0, 19)}Z ${fromIp} -> ${id}@${to}`)
  }
}
