import {
  type FoundIdentity,
  type IdentityStanding,
  type IdentityStore,
  type NewPeerIdentity,
  type PeerId,
  type PeerIdentity,
  type RenameOutcome,
  type Renaming,
  StoreUnavailableError,
} from '@tryst/rendezvous'
import { GroupCommit, type IdentityWrite } from './group-commit.ts'
import { newGuid } from './guid.ts'
import { IdentityMemory } from './identity-memory.ts'
import { IdentityMoves } from './identity-moves.ts'
import { IdentityReads } from './identity-reads.ts'
import { asFound, equalBytes, type IdentityRecord, isGivenUp, readIdentity } from './identity-record.ts'
import {
  CREATE_IDENTITIES,
  REMOVE_IDENTITIES,
  UNDO_IDENTITIES,
  UNDO_MOVE,
  UPDATE_IDENTITIES,
} from './identity-scripts.ts'
import { IdentityWriteBack } from './identity-write-back.ts'
import type { RecalledIdentity } from './node-links-port.ts'
import { RedisConnection, type RedisEvent } from './redis-connection.ts'
import type { RedisReply } from './redis-lane.ts'

export interface RedisIdentityStoreOptions {
  /** Identities that are remembered at most; the ones longest not seen go first. */
  readonly maxDevices: number
  readonly events?: RedisIdentityEvents
  /** What other nodes remember of a device; asked while Redis is away. Default: nobody else does. */
  readonly askOthers?: (id: PeerId) => Promise<RecalledIdentity | undefined>
}

export interface RedisIdentityEvents {
  /** Redis has another uuid or key for this id than what this server acknowledged: an operator has to decide. */
  contradicted(id: PeerId, acknowledged: PeerIdentity, stored: PeerIdentity): void
  /** Identities that Redis had lost are there again. */
  restored(count: number): void
}

/** Others may not have written back yet what they know. */
const UNCERTAIN_AFTER_LOSS_MS = 20_000
const LONGEST_CLOSE_MS = 2_000
const SILENT: RedisIdentityEvents = { contradicted: () => {}, restored: () => {} }

/**
 * The identities of devices in Redis, shared by all nodes. What this node has acknowledged or read it remembers: for
 * answers while Redis is away, and to write back what Redis has lost (docs/state.md, Redis).
 */
export class RedisIdentityStore implements IdentityStore {
  readonly #connection: RedisConnection
  /** Writes have a connection of their own: WAIT keeps those behind it waiting. */
  readonly #writing: RedisConnection
  readonly #commit: GroupCommit
  readonly #reads: IdentityReads
  readonly #memory: IdentityMemory
  readonly #writeBack: IdentityWriteBack
  readonly #moves: IdentityMoves
  readonly #events: RedisIdentityEvents
  readonly #recallElsewhere: NonNullable<RedisIdentityStoreOptions['askOthers']>
  /** The last write of an id that is under way. */
  readonly #pending = new Map<PeerId, Promise<unknown>>()
  readonly #stopListening: (() => void)[]
  #uncertainUntilMs = Number.NEGATIVE_INFINITY
  #isClosed = false

  private constructor(connection: RedisConnection, writing: RedisConnection, options: RedisIdentityStoreOptions) {
    this.#connection = connection
    this.#writing = writing
    this.#events = options.events ?? SILENT
    this.#recallElsewhere = options.askOthers ?? (async () => undefined)
    this.#commit = new GroupCommit(writing, UNDO_IDENTITIES)
    this.#reads = new IdentityReads(connection)
    this.#memory = new IdentityMemory(options.maxDevices)
    this.#writeBack = new IdentityWriteBack(connection, this.#memory, {
      restored: (count) => this.#events.restored(count),
      // Reads the identity that stands, and tells of both.
      contradicted: (id) => void this.find(id).catch(() => {}),
      // Reads what stands now instead.
      renamed: (id) => void this.find(id).catch(() => {}),
    })
    this.#moves = new IdentityMoves({
      connection,
      read: (id) => this.#read(id),
      write: (id, write) => this.#write(id, write),
    })
    const listen = (event: RedisEvent) => this.#redisChanged(event)
    this.#stopListening = [connection.onChange(listen), writing.onChange(listen)]
  }

  /** `connection` stays the caller's. Throws RedisUnreachableError. */
  static async open(connection: RedisConnection, options: RedisIdentityStoreOptions): Promise<RedisIdentityStore> {
    const writing = await RedisConnection.open(connection.settings, { label: 'tryst-identities' })
    return new RedisIdentityStore(connection, writing, options)
  }

  /** Redis answers on both ways: what is asked for now can be stored. */
  get isReady(): boolean {
    return this.#connection.state === 'up' && this.#writing.state === 'up'
  }

  /** True for 20 s after Redis may have lost data. */
  get isUncertain(): boolean {
    return performance.now() < this.#uncertainUntilMs
  }

  /** How many identities this node remembers. */
  get remembered(): number {
    return this.#memory.size
  }

  async find(id: PeerId): Promise<FoundIdentity | undefined> {
    this.#refuseWhenClosed()
    // What another call has written but not yet been told is told only when it is certain.
    const pending = this.#pending.get(id)
    if (pending) await pending.catch(() => {})
    try {
      const stored = await this.#readSettled(id)
      const judged = stored ? this.#judge(id, stored) : this.#remembersDevice(id) ? 'behind' : undefined
      return judged === 'behind' ? await this.#restore(id) : judged
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      const remembered = this.#memory.get(id) ?? (await this.#askOthers(id))
      if (remembered && !this.#isFree(remembered)) return asFound(id, remembered, 'uncertain')
      throw error
    }
  }

  /** What this node remembers of a device; for nodes that do not while Redis is away. */
  recall(id: PeerId): RecalledIdentity | undefined {
    const remembered = this.#memory.get(id)
    return remembered?.moved ? undefined : remembered
  }

  async create(identity: NewPeerIdentity): Promise<{ readonly created: boolean; readonly identity: FoundIdentity }> {
    this.#refuseWhenClosed()
    const { id, ip } = identity
    const guid = newGuid()
    const uuid = Uint8Array.from(identity.uuid)
    const publicKey = Uint8Array.from(identity.publicKey)
    const reply = await this.#write(id, {
      script: CREATE_IDENTITIES,
      args: [guid, uuid, publicKey, ip],
      needsReplica: true,
      undo: (answer) => {
        const stored = readIdentity(answer)
        return stored && equalBytes(stored.guid, guid) ? [stored.version, '', ''] : undefined
      },
    })
    const stored = readIdentity(reply)
    if (!stored) throw new StoreUnavailableError(`Redis has neither created nor found ${id}`)
    if (!equalBytes(stored.guid, guid)) {
      const judged = this.#judge(id, stored)
      if (judged && judged !== 'behind') return { created: false, identity: judged }
      const identity = await this.#restore(id)
      if (!identity) throw new StoreUnavailableError(`${id} has come and gone in Redis`)
      return { created: false, identity }
    }
    this.#memory.set(id, stored)
    return { created: true, identity: asFound(id, stored, 'certain') }
  }

  async rename(renaming: Renaming): Promise<RenameOutcome> {
    this.#refuseWhenClosed()
    const { from, to } = renaming
    const own = { ...renaming, uuid: Uint8Array.from(renaming.uuid) }
    const found = await this.find(from)
    if (!found || !equalBytes(found.uuid, own.uuid)) return 'not-its-own'
    if (from === to) return found.movedTo ? 'not-its-own' : 'renamed'
    const { outcome, before, after } = await this.#moves.rename(own, found)
    if (outcome !== 'renamed') return outcome
    if (before) this.#memory.set(from, before)
    if (after) this.#memory.set(to, after)
    return outcome
  }

  async update(
    current: PeerIdentity,
    change: { readonly publicKey: Uint8Array; readonly ip: string },
  ): Promise<boolean> {
    this.#refuseWhenClosed()
    const { id, ip: ipBefore } = current
    const uuid = Uint8Array.from(current.uuid)
    const before = Uint8Array.from(current.publicKey)
    const after = Uint8Array.from(change.publicKey)
    const { ip } = change
    const onlyMoves = equalBytes(before, after)
    let reply: RedisReply
    try {
      reply = await this.#write(id, {
        script: UPDATE_IDENTITIES,
        args: [uuid, before, after, ip],
        needsReplica: !onlyMoves,
        undo: (answer) => {
          const stored = readIdentity(answer)
          return stored ? [stored.version, before, ipBefore] : undefined
        },
      })
    } catch (error) {
      if (onlyMoves && this.#owe(id, uuid, before, ip)) return true
      throw error
    }
    const stored = readIdentity(reply)
    if (!stored) return false
    this.#memory.set(id, stored)
    return true
  }

  async remove(id: PeerId): Promise<boolean> {
    this.#refuseWhenClosed()
    const reply = await this.#write(id, {
      script: REMOVE_IDENTITIES,
      args: [],
      needsReplica: true,
      undo: (answer) => {
        const stored = readIdentity(answer)
        return stored ? [stored.version, UNDO_MOVE, ''] : undefined
      },
    })
    const stored = readIdentity(reply)
    if (!stored) return false
    this.#memory.set(id, stored)
    return true
  }

  /** Waits for writes that are under way. May be called twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const stop of this.#stopListening) stop()
    this.#writeBack.close()
    const settled = Promise.allSettled(this.#pending.values())
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise((resolve) => {
      timer = setTimeout(resolve, LONGEST_CLOSE_MS)
    })
    await Promise.race([settled, tooLong])
    clearTimeout(timer)
    this.#writing.close()
  }

  /** What others acknowledged is kept as if it had been read: the device may go on from here. */
  async #askOthers(id: PeerId): Promise<IdentityRecord | undefined> {
    const recalled = await this.#recallElsewhere(id)
    if (!recalled) return undefined
    const record = { ...recalled, isDecided: false }
    if (!this.#memory.has(id)) this.#memory.set(id, record)
    return record
  }

  #redisChanged(event: RedisEvent): void {
    if (event.kind === 'lost-data-suspected') this.#uncertainUntilMs = performance.now() + UNCERTAIN_AFTER_LOSS_MS
    if (event.kind === 'up' && !event.isFirst) this.#writeBack.start()
    if (event.kind === 'lost-data-suspected' && this.#connection.state === 'up') this.#writeBack.start()
  }

  async #write(id: PeerId, write: Omit<IdentityWrite, 'key'>): Promise<RedisReply> {
    const writing = this.#commit.write({ ...write, key: this.#writing.keys.peer(id) })
    this.#pending.set(id, writing)
    try {
      return await writing
    } finally {
      if (this.#pending.get(id) === writing) this.#pending.delete(id)
    }
  }

  /** Redis is away, and the device has only another address: kept here until Redis is back. */
  #owe(id: PeerId, uuid: Uint8Array, publicKey: Uint8Array, ip: string): boolean {
    const remembered = this.#memory.get(id)
    if (!remembered || !equalBytes(remembered.uuid, uuid) || !equalBytes(remembered.publicKey, publicKey)) return false
    this.#memory.set(id, { ...remembered, ip }, { isOwed: true })
    return true
  }

  async #read(id: PeerId): Promise<IdentityRecord | undefined> {
    return readIdentity(await this.#reads.read(this.#connection.keys.peer(id)))
  }

  async #readSettled(id: PeerId): Promise<IdentityRecord | undefined> {
    const stored = await this.#read(id)
    return stored && this.#moves.settle(id, stored)
  }

  /** Nobody has the id although something stands there: a device gave it up some time ago. */
  #isFree(record: IdentityRecord): boolean {
    return isGivenUp(record, this.#connection.nowMs())
  }

  #remembersDevice(id: PeerId): boolean {
    const remembered = this.#memory.get(id)
    return remembered !== undefined && !this.#isFree(remembered)
  }

  #found(id: PeerId, record: IdentityRecord, standing: IdentityStanding): FoundIdentity | undefined {
    return this.#isFree(record) ? undefined : asFound(id, record, standing)
  }

  /** What Redis has, next to what this node knows. `behind`: Redis has what was before a change that was accepted. */
  #judge(id: PeerId, stored: IdentityRecord): FoundIdentity | 'behind' | undefined {
    const standing: IdentityStanding = this.isUncertain ? 'uncertain' : 'certain'
    // It lapses by itself, and nobody may write it back.
    if (stored.isReserved) return asFound(id, stored, standing)
    const remembered = this.#memory.get(id)
    if (!remembered) {
      this.#memory.set(id, stored)
      return this.#found(id, stored, standing)
    }
    const isSameDevice = equalBytes(remembered.uuid, stored.uuid) && equalBytes(remembered.publicKey, stored.publicKey)
    const isSameRow = equalBytes(remembered.guid, stored.guid)
    const isKnownToFollow = isSameRow || isSameDevice || stored.isDecided || remembered.moved !== undefined
    if (stored.version > remembered.version && isKnownToFollow) {
      this.#memory.set(id, stored)
      return this.#found(id, stored, standing)
    }
    this.#memory.touch(id)
    const isAsGivenUp = (stored.moved === undefined) === (remembered.moved === undefined)
    // An address that is owed goes to Redis with the next write-back.
    if (isSameDevice && isAsGivenUp) return this.#found(id, remembered.isOwed ? remembered : stored, standing)
    if (isSameRow || isSameDevice || stored.moved) return 'behind'
    this.#events.contradicted(id, asFound(id, remembered, 'certain'), asFound(id, stored, standing))
    return asFound(id, stored, 'contradicted')
  }

  /**
   * Redis seems to have lost what this node remembers, or a change of it. What this node knows may be younger than the
   * answer, but not than a second one: only then it is put back.
   */
  async #restore(id: PeerId): Promise<FoundIdentity | undefined> {
    const stored = await this.#read(id)
    const judged = stored ? this.#judge(id, stored) : 'behind'
    if (judged !== 'behind') return judged
    const remembered = this.#memory.get(id)
    if (!remembered || this.#isFree(remembered)) return undefined
    if (!this.isUncertain) this.#connection.suspectLoss(`Redis does not have what this node acknowledged of ${id}`)
    await this.#writeBack.write([id])
    return asFound(id, remembered, 'uncertain')
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw new StoreUnavailableError('the connection to Redis has been closed')
  }
}
