import type { NodeId, PeerId } from '@tryst/rendezvous'
import { PEER_BUCKETS, peerBucket } from './keys.ts'
import { PRESENCE_LIFETIME_MS, type PresenceLedger } from './presence-ledger.ts'
import { RELEASE, RESTORE } from './presence-scripts.ts'
import type { RedisConnection, ScriptCall } from './redis-connection.ts'
import type { RedisNode } from './redis-node.ts'

/** Devices in one call of a script: Redis does nothing else meanwhile. */
const BATCH = 64
/** Calls that are under way at once. */
const CALLS_AT_ONCE = 8
/** Each record is looked at once in this time, and written again where it is missing. */
export const SWEEP_MS = 590_000
const LONGEST_LEAVE_MS = 3_000

export interface UpkeepParts {
  readonly connection: RedisConnection
  readonly node: RedisNode
  readonly ledger: PresenceLedger
  /** The IP that this node hears the device from, while it is online here. */
  readonly holds: (id: PeerId) => string | undefined
  readonly onTaken: (id: PeerId, version: number, former: NodeId) => void
  readonly sweepMs?: number
}

interface Item {
  readonly id: PeerId
  readonly ip: string
  /** The version that Redis confirmed, or when the device was heard where it did not. */
  readonly version: number
}

/** Keeps what Redis says of this node's devices true: after losses, after failures, and slowly all the time. */
export class PresenceUpkeep {
  readonly #parts: UpkeepParts
  readonly #sweepMs: number
  #sweptUntilMs = performance.now()
  #nextBucket = Math.floor(Math.random() * PEER_BUCKETS)
  #isAllDue = false
  #isWithdrawn = false
  #working: Promise<void> | undefined

  constructor(parts: UpkeepParts) {
    this.#parts = parts
    this.#sweepMs = parts.sweepMs ?? SWEEP_MS
  }

  /** Redis may have lost something: everything is written back, as soon as it can be. */
  restoreAll(): Promise<void> {
    this.#isAllDue = true
    this.#parts.ledger.noteLoss()
    return this.turn()
  }

  /** To be called every second or so: does what is due. */
  turn(): Promise<void> {
    if (this.#parts.connection.state !== 'up' || this.#isWithdrawn) return Promise.resolve()
    this.#working ??= this.#work()
      // What could not be done is still due at the next turn.
      .catch(() => {})
      .finally(() => {
        this.#working = undefined
      })
    return this.#working
  }

  /** Devices that this node held are offline. */
  async withdraw(): Promise<void> {
    const { connection, ledger } = this.#parts
    this.#isWithdrawn = true
    // Nothing is written back behind what is taken away now.
    await this.#working
    const ids: PeerId[] = []
    for (let bucket = 0; bucket < PEER_BUCKETS; bucket++) ids.push(...ledger.bucket(bucket).keys())
    const deadlineMs = performance.now() + LONGEST_LEAVE_MS
    for (const batches of chunks(this.#releaseBatches(ids), CALLS_AT_ONCE)) {
      if (performance.now() > deadlineMs || connection.state !== 'up') return
      await connection.runAll(batches.map((batch) => this.#release(batch)))
    }
  }

  async #work(): Promise<void> {
    const { ledger, node } = this.#parts
    while (this.#isAllDue) {
      this.#isAllDue = false
      try {
        // Before its records, others have to see the node itself.
        await node.renew()
        for (let bucket = 0; bucket < PEER_BUCKETS; bucket++) await this.#restore(this.#itemsOf(bucket))
      } catch (error) {
        this.#isAllDue = true
        throw error
      }
    }
    if (ledger.unwritten.size > 0) await this.#writeUnwritten()
    await ledger.settleDoubts()
    const nowMs = performance.now()
    const bucketMs = this.#sweepMs / PEER_BUCKETS
    // A process that slept does not have to catch up.
    this.#sweptUntilMs = Math.max(this.#sweptUntilMs, nowMs - this.#sweepMs)
    for (; this.#sweptUntilMs + bucketMs <= nowMs; this.#sweptUntilMs += bucketMs) {
      await this.#restore(this.#itemsOf(this.#nextBucket))
      this.#nextBucket = (this.#nextBucket + 1) % PEER_BUCKETS
    }
  }

  async #writeUnwritten(): Promise<void> {
    const { ledger, holds, connection, onTaken } = this.#parts
    const byBucket = new Map<number, Item[]>()
    for (const [id, wish] of ledger.unwritten) {
      if (wish.kind !== 'claim' || ledger.isBusy(id)) continue
      const item = { id, ip: holds(id) ?? wish.ip, version: wish.heardUs }
      const items = byBucket.get(peerBucket(id))
      if (items) items.push(item)
      else byBucket.set(peerBucket(id), [item])
    }
    for (const items of byBucket.values()) await this.#restore(items)
    const gone = ledger.unwrittenReleases()
    for (const batch of this.#releaseBatches(gone)) {
      const reply = (await connection.run(this.#release(batch))) as string[]
      for (const [index, id] of batch.entries()) {
        const before = reply[index * 2 + 1] ?? ''
        if (before !== '') onTaken(id, Number(reply[index * 2]), before as NodeId)
      }
      ledger.confirmReleases(batch)
    }
  }

  #itemsOf(bucket: number): Item[] {
    const { ledger, holds } = this.#parts
    const items: Item[] = []
    for (const [id, version] of ledger.bucket(bucket)) {
      if (ledger.isBusy(id) || ledger.unwritten.has(id)) continue
      const ip = holds(id)
      if (ip !== undefined) items.push({ id, ip, version })
    }
    return items
  }

  async #restore(items: readonly Item[]): Promise<void> {
    if (items.length === 0) return
    const { connection, node, ledger } = this.#parts
    for (const group of chunks(chunks(items, BATCH), CALLS_AT_ONCE)) {
      if (this.#isWithdrawn) return
      const calls = group.map(
        (batch): ScriptCall => ({
          script: RESTORE,
          keys: batch.map(({ id }) => connection.keys.presence(id)),
          args: [
            ...[node.incarnation, ledger.nextNumber(), PRESENCE_LIFETIME_MS],
            ...batch.flatMap(({ id, ip, version }) => [version, ip, ledger.via(id)]),
          ],
        }),
      )
      const replies = await connection.runAll(calls)
      for (const [index, reply] of replies.entries()) {
        if (reply instanceof Error) throw reply
        await this.#settle(group[index] ?? [], reply as string[])
      }
    }
  }

  async #settle(batch: readonly Item[], reply: readonly string[]): Promise<void> {
    const { ledger, node, onTaken } = this.#parts
    for (const [index, item] of batch.entries()) {
      const [outcome, text, other] = reply.slice(index * 3, index * 3 + 3) as [
        'held' | 'written' | 'lost',
        string,
        string,
      ]
      const version = Number(text)
      if (outcome !== 'lost') {
        if (this.#isStill(item)) ledger.confirm(item.id, version, outcome)
        else ledger.disown(item.id)
        if (other !== '') onTaken(item.id, version, other as NodeId)
        continue
      }
      const owner = await node.find(other as NodeId)
      const isElsewhere = owner !== undefined && !owner.isLeaving
      if (!this.#isStill(item)) continue
      if (isElsewhere) ledger.lose(item.id)
      // Nobody else has the device: its owner is dead.
      else ledger.claim(item.id, item.ip, ledger.via(item.id)).catch(() => {})
    }
  }

  /** Nothing has happened to the device here since it was sent. */
  #isStill({ id, version }: Item): boolean {
    const { ledger } = this.#parts
    if (ledger.isBusy(id)) return false
    const unwritten = ledger.unwritten.get(id)
    if (unwritten) return unwritten.kind === 'claim' && unwritten.heardUs === version
    return ledger.versionOf(id) === version
  }

  #releaseBatches(ids: readonly PeerId[]): PeerId[][] {
    return [...Map.groupBy(ids, (id) => peerBucket(id)).values()].flatMap((bucket) => chunks(bucket, BATCH))
  }

  #release(batch: readonly PeerId[]): ScriptCall {
    const { connection, node, ledger } = this.#parts
    return {
      script: RELEASE,
      keys: batch.map((id) => connection.keys.presence(id)),
      args: [node.incarnation, ledger.nextNumber()],
    }
  }
}

function chunks<T>(items: readonly T[], length: number): T[][] {
  const chunked: T[][] = []
  for (let at = 0; at < items.length; at += length) chunked.push(items.slice(at, at + length))
  return chunked
}
