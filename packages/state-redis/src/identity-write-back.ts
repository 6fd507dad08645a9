import type { PeerId } from '@tryst/rendezvous'
import type { IdentityMemory, RememberedIdentity } from './identity-memory.ts'
import { DECIDED_BY_OPERATOR, movedMarkText } from './identity-record.ts'
import { KEEP_MARK_MS, WRITE_BACK_IDENTITIES } from './identity-scripts.ts'
import type { RedisConnection, ScriptCall } from './redis-connection.ts'

export interface WriteBackEvents {
  /** Identities that were missing in Redis, or older there, are there again. */
  restored(count: number): void
  /** Another device has this id in Redis. */
  contradicted(id: PeerId): void
  /** What this node remembers of the id is over: its device has another one. */
  renamed(id: PeerId): void
}

const BATCH = 200
/** One round of the slow sweep; what has come since it began waits for the next one. */
const SWEEP_MS = 4.5 * 60_000
/** In a Cluster each of the 256 buckets is a call of its own, which makes shorter rounds too dear. */
const CLUSTER_SWEEP_MS = 9 * 60_000
const NOTHING_TO_DO_MS = 5_000
const SHORTEST_PAUSE_MS = 2
const RETRY_MS = 500

type Outcome = 'same' | 'newer' | 'renamed' | 'restored' | 'moved' | 'other'

/**
 * Puts the identities that this node remembers back into Redis where they are missing: at once after a reconnect or a
 * loss, and slowly all the time, since shards of a Cluster fail over unseen.
 */
export class IdentityWriteBack {
  #timer: NodeJS.Timeout | undefined
  #isUrgent = false
  #batches: PeerId[][] = []
  #batchesInRound = 0
  #isRunning = false
  #isClosed = false

  constructor(
    private readonly connection: RedisConnection,
    private readonly memory: IdentityMemory,
    private readonly events: WriteBackEvents,
  ) {
    this.#next(NOTHING_TO_DO_MS)
  }

  /** Everything, as fast as Redis and this node can do it beside their work. */
  start(): void {
    this.#isUrgent = true
    this.#batches = this.#allBatches()
    if (!this.#isRunning) this.#next(0)
  }

  /** These now; rejects with StoreUnavailableError. */
  async write(ids: readonly PeerId[]): Promise<void> {
    const remembered = ids.flatMap((id) => {
      const record = this.memory.get(id)
      if (!record) return []
      const { moved } = record
      if (moved?.untilMs !== undefined && moved.untilMs + KEEP_MARK_MS <= this.connection.nowMs()) {
        this.memory.forget(id)
        return []
      }
      return [{ id, record, key: this.connection.keys.peer(id) }]
    })
    const groups = this.connection.grouped(remembered, ({ key }) => key)
    const replies = await this.connection.runAll(groups.map(writeBackCall))
    let restored = 0
    for (const [index, group] of groups.entries()) {
      const reply = replies[index]
      if (reply instanceof Error) throw reply
      for (const [place, { id, record }] of group.entries())
        if (this.#note(id, record, String((reply as string[])[place]))) restored++
    }
    if (restored > 0) this.events.restored(restored)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #note(id: PeerId, record: RememberedIdentity, answer: string): boolean {
    const [outcome, version] = answer.split(' ') as [Outcome, string]
    if (outcome === 'other') this.events.contradicted(id)
    if (outcome === 'renamed') this.events.renamed(id)
    // It may have changed again while this was under way.
    const isUnchanged = this.memory.get(id)?.version === record.version && this.memory.get(id)?.ip === record.ip
    if (record.isOwed && isUnchanged && outcome !== 'other')
      this.memory.set(id, { ...record, version: Number(version) })
    return outcome === 'restored'
  }

  #allBatches(): PeerId[][] {
    const batches: PeerId[][] = []
    for (const group of this.connection.grouped(this.memory.ids(), (id) => this.connection.keys.peer(id)))
      for (let from = 0; from < group.length; from += BATCH) batches.push(group.slice(from, from + BATCH))
    this.#batchesInRound = batches.length
    return batches.reverse()
  }

  #next(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    this.#timer = setTimeout(() => this.#step(), delayMs)
    this.#timer.unref()
  }

  async #step(): Promise<void> {
    if (this.#batches.length === 0) this.#batches = this.#allBatches()
    const batch = this.#batches.pop()
    if (!batch) return this.#next(NOTHING_TO_DO_MS)
    const startedMs = performance.now()
    this.#isRunning = true
    let failed = false
    try {
      await this.write(batch)
    } catch {
      // This primary is away: its turn comes again after the others'.
      failed = true
      this.#batches.unshift(batch)
    }
    this.#isRunning = false
    if (this.#batches.length === 0) this.#isUrgent = false
    this.#next(failed ? RETRY_MS : this.#pauseMs(performance.now() - startedMs))
  }

  #pauseMs(tookMs: number): number {
    if (this.#isUrgent) return Math.max(SHORTEST_PAUSE_MS, tookMs)
    const roundMs = this.connection.settings.cluster.length > 0 ? CLUSTER_SWEEP_MS : SWEEP_MS
    return roundMs / Math.max(1, this.#batchesInRound)
  }
}

function writeBackCall(group: readonly { key: string; record: RememberedIdentity }[]): ScriptCall {
  return {
    script: WRITE_BACK_IDENTITIES,
    keys: group.map(({ key }) => key),
    args: group.flatMap(({ record }) => [
      record.guid,
      record.uuid,
      record.publicKey,
      record.ip,
      record.version,
      record.createdMs,
      record.isDecided ? DECIDED_BY_OPERATOR : '',
      record.isOwed ? '1' : '0',
      record.moved ? movedMarkText(record.moved) : '',
    ]),
  }
}
