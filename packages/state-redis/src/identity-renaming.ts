import { type PeerId, type RenameOutcome, type Renaming, StoreUnavailableError } from '@tryst/rendezvous'
import type { IdentityWrite } from './group-commit.ts'
import { type IdentityRecord, readIdentity } from './identity-record.ts'
import { UNDO_MOVE } from './identity-scripts.ts'
import type { RedisReply } from './redis-lane.ts'
import { COMPLETE_MOVES, CONFIRM_IDS, MARK_MOVED, RENAME_IDENTITIES, RESERVE_IDS } from './rename-scripts.ts'

/** What a change of id came to, and what stands at both ids where it was made. */
export interface Renamed {
  readonly outcome: RenameOutcome
  readonly before?: IdentityRecord | undefined
  readonly after?: IdentityRecord | undefined
}

export type WriteIdentity = (id: PeerId, write: Omit<IdentityWrite, 'key'>) => Promise<RedisReply>

/** On one Redis: a script that changes both keys. @param keyOf where the script finds the new id */
export async function renameInOneStep(
  { from, to, uuid, holdMs }: Renaming,
  write: WriteIdentity,
  keyOf: (id: PeerId) => string,
): Promise<Renamed> {
  const newKey = keyOf(to)
  const reply = await write(from, {
    script: RENAME_IDENTITIES,
    args: [newKey, uuid, to, holdMs],
    needsReplica: true,
    undo: (answer) => {
      const [outcome, before, , existed] = answer as RedisReply[]
      const version = readIdentity(before)?.version
      if (String(outcome) !== 'renamed' || version === undefined) return undefined
      return [version, UNDO_MOVE, String(existed) === '1' ? '' : newKey]
    },
  })
  const [outcome, before, after] = reply as RedisReply[]
  return { outcome: String(outcome) as RenameOutcome, before: readIdentity(before), after: readIdentity(after) }
}

/**
 * On a Redis Cluster, where the two keys may lie on different primaries. Each step may be taken again; whichever is the
 * last one that is taken, the device has its old id or gets it back, and a reservation that nobody confirms lapses
 * (docs/state.md, a device takes another id).
 */
export async function renameInSteps(
  { from, to, uuid, holdMs }: Renaming,
  stored: IdentityRecord,
  write: WriteIdentity,
): Promise<Renamed> {
  const { guid, publicKey, ip, createdMs } = stored
  const identity = [guid, uuid, publicKey, ip, createdMs]
  const reserved = String(
    await write(to, { script: RESERVE_IDS, args: [...identity, from], needsReplica: true, undo: () => undefined }),
  )
  if (reserved === 'taken') return { outcome: 'taken' }
  const marked = await write(from, {
    ...{ script: MARK_MOVED, args: [uuid, to], needsReplica: true },
    undo: (answer) => {
      const version = readIdentity(answer)?.version
      return version === undefined ? undefined : [version, UNDO_MOVE, '']
    },
  })
  if (!readIdentity(marked)) return { outcome: 'not-its-own' }
  const confirmed = await write(to, {
    ...{ script: CONFIRM_IDS, args: [...identity, from], needsReplica: true, undo: () => undefined },
  })
  const after = readIdentity(confirmed)
  if (!after) throw new StoreUnavailableError(`the reservation of ${to} has lapsed meanwhile`)
  // From here on the device has its new id; a mark that is not complete is completed by whoever finds it.
  const completed = await completeMove(from, to, holdMs, write).catch((error: unknown) => {
    if (error instanceof StoreUnavailableError) return undefined
    throw error
  })
  return { outcome: 'renamed', before: completed ?? readIdentity(marked), after }
}

/** The hold of the old id begins. Undefined where it is not moved to that id any more. */
export async function completeMove(
  from: PeerId,
  to: PeerId,
  holdMs: number,
  write: WriteIdentity,
): Promise<IdentityRecord | undefined> {
  return readIdentity(
    await write(from, { script: COMPLETE_MOVES, args: [to, holdMs], needsReplica: false, undo: () => undefined }),
  )
}
