import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { describeFailure } from './database-failure.ts'
import { ipOfPeerInfo } from './peer-info.ts'
import { parseCreatedAt } from './peer-row.ts'

/** A stored device, as operators are shown it. */
export interface ListedPeer {
  readonly id: PeerId
  /** Plain; empty where it is not known. */
  readonly ip: string
  readonly createdMs: number | undefined
}

/** Devices in one step: a step holds up the process for a millisecond or two. */
const BATCH = 500
const BUSY_TIMEOUT_MS = 200

/**
 * The devices in a database by their ids, while a server goes on using it. Those that come or go meanwhile may be
 * missing or be there. Rejects with StoreUnavailableError.
 */
export async function* listPeers(path: string): AsyncGenerator<readonly ListedPeer[]> {
  const guarded = <T>(action: () => T): T => {
    try {
      return action()
    } catch (error) {
      throw new StoreUnavailableError(describeFailure(error, path).text, { cause: error })
    }
  }
  const db = guarded(() => new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS }))
  try {
    const select = guarded(() =>
      db.prepare("SELECT id, info, created_at FROM peer WHERE typeof(id) = 'text' AND id > ? ORDER BY id LIMIT ?"),
    )
    for (let last = ''; ; ) {
      const rows = guarded(() => select.all(last, BATCH))
      if (rows.length === 0) return
      yield rows.map(({ id, info, created_at }) => ({
        id: id as PeerId,
        ip: typeof info === 'string' ? ipOfPeerInfo(info) : '',
        createdMs: parseCreatedAt(String(created_at)),
      }))
      last = String(rows.at(-1)?.id)
      await setImmediate()
    }
  } finally {
    db.close()
  }
}
