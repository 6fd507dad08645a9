import { type FoundIdentity, type PeerId, type Renaming, StoreUnavailableError } from '@tryst/rendezvous'
import { equalBytes, type IdentityRecord, readIdentity } from './identity-record.ts'
import { completeMove, type Renamed, renameInOneStep, renameInSteps, type WriteIdentity } from './identity-renaming.ts'
import type { RedisConnection } from './redis-connection.ts'
import { ABANDON_MOVES } from './rename-scripts.ts'

/** A change of id takes no longer than that. */
const LONGEST_MOVE_MS = 5_000
/** Where a change of id was not completed by whoever began it. */
const HOLD_OF_FOUND_MOVE_MS = 3_600_000

export interface IdentityMovesParts {
  readonly connection: RedisConnection
  readonly read: (id: PeerId) => Promise<IdentityRecord | undefined>
  readonly write: WriteIdentity
}

/** Changes of ids, and what is left of those that nobody ended (docs/state.md, a device takes another id). */
export class IdentityMoves {
  constructor(private readonly parts: IdentityMovesParts) {}

  /** @param found what stands at the old id, with this uuid */
  async rename(renaming: Renaming, found: FoundIdentity): Promise<Renamed> {
    const { connection, read, write } = this.parts
    const { from, to, uuid } = renaming
    const isCluster = connection.settings.cluster.length > 0
    const stored = isCluster ? await read(from) : undefined
    if (isCluster && !stored) throw new StoreUnavailableError(`Redis does not have ${from}`)
    const isUnderWay = stored?.moved !== undefined && stored.moved.untilMs === undefined
    if (found.movedTo && !(isUnderWay && found.movedTo === to)) {
      const successor = found.movedTo === to ? await read(to) : undefined
      const isDone = successor && !successor.moved && equalBytes(successor.uuid, uuid)
      return { outcome: isDone ? 'renamed' : 'not-its-own' }
    }
    return stored
      ? renameInSteps(renaming, stored, write)
      : renameInOneStep(renaming, write, (id) => connection.keys.peer(id))
  }

  /** Completes or takes back a change of this id that somebody began and did not end. */
  async settle(id: PeerId, stored: IdentityRecord): Promise<IdentityRecord | undefined> {
    if (!stored.moved || stored.moved.untilMs !== undefined) return stored
    const { connection, read, write } = this.parts
    const { to } = stored.moved
    const successor = await read(to)
    const isYoung = connection.nowMs() - stored.version / 1_000 < LONGEST_MOVE_MS
    // It may be under way, and is judged again if not.
    if (successor?.isReserved || (successor?.moved && isYoung)) return stored
    if (successor && !successor.moved && equalBytes(successor.uuid, stored.uuid))
      return (await completeMove(id, to, HOLD_OF_FOUND_MOVE_MS, write)) ?? read(id)
    const abandon = { script: ABANDON_MOVES, args: [to], needsReplica: false, undo: () => undefined }
    return readIdentity(await write(id, abandon))
  }
}
