import { boundedTable } from './bounded-table.ts'

const WINDOW_MS = 180_000
const SHOWN_MS = 360_000

interface Change {
  startMs: number
  readonly counts: Map<string, number>
}

/** Devices that registered from several addresses lately, for the console. */
export class IpChanges {
  readonly #changes = boundedTable<Change>(10_000)

  note(id: string, ip: string, nowMs: number): void {
    const change = this.#changes.get(id)
    if (!change || nowMs - change.startMs > WINDOW_MS) {
      this.#changes.set(id, { startMs: nowMs, counts: new Map([[ip, 1]]) })
    } else if (change.counts.has(ip) || change.counts.size < 100) {
      change.counts.set(ip, (change.counts.get(ip) ?? 0) + 1)
    }
  }

  remove(id: string): void {
    this.#changes.delete(id)
  }

  /** Those with more than one address, each as `AGEs {"ip": count}`. */
  report(nowMs: number): { id: string; text: string }[] {
    const reports: { id: string; text: string }[] = []
    for (const [id, { startMs, counts }] of [...this.#changes.entries()]) {
      if (nowMs - startMs > SHOWN_MS) this.#changes.delete(id)
      else if (counts.size > 1) {
        const list = [...counts].map(([ip, count]) => `"${ip}": ${count}`).join(', ')
        reports.push({ id, text: `${Math.floor((nowMs - startMs) / 1000)}s {${list}}` })
      }
    }
    return reports
  }
}
