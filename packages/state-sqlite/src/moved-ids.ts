import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { FoundIdentity, PeerId } from '@tryst/rendezvous'
import { bytesOf } from './bytes-of.ts'
import { ipOfPeerInfo, peerInfo } from './peer-info.ts'

const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS tryst_moved_id (
  id text PRIMARY KEY NOT NULL,
  moved_to text NOT NULL,
  guid blob NOT NULL,
  uuid blob NOT NULL,
  pk blob NOT NULL,
  info text NOT NULL,
  held_until_ms integer NOT NULL
) WITHOUT ROWID`

/**
 * Ids that devices have given up for others and that nobody else gets yet, in a table of their own: the reference's
 * stays as it is (docs/state.md, SQLite). It is made when the first device takes another id, so that a folder in which
 * nothing happened stays as it was.
 */
export class MovedIds {
  readonly #db: DatabaseSync
  readonly #table: StatementSync
  #prepared: ReturnType<typeof prepareAll> | undefined

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#table = db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'tryst_moved_id'")
  }

  /** Undefined while there is no table; another program that has opened the file may make it at any time. */
  get #statements(): ReturnType<typeof prepareAll> | undefined {
    if (!this.#prepared && this.#table.get()) this.#prepared = prepareAll(this.#db)
    return this.#prepared
  }

  /** Undefined where the id is not held for anybody. */
  find(id: PeerId, nowMs: number): FoundIdentity | undefined {
    const row = this.#statements?.select.get(id, nowMs)
    if (!row) return undefined
    return {
      id,
      guid: bytesOf(row.guid),
      uuid: bytesOf(row.uuid),
      publicKey: bytesOf(row.pk),
      ip: ipOfPeerInfo(String(row.info)),
      standing: 'certain',
      movedTo: String(row.moved_to) as PeerId,
    }
  }

  /** Makes the table where there is none. Outside of transactions: one that is rolled back would take it along. */
  makeReady(): void {
    if (this.#statements) return
    this.#db.exec(CREATE_TABLE)
  }

  /** Only when it is ready. */
  hold({ id, guid, uuid, publicKey, ip }: FoundIdentity, movedTo: PeerId, nowMs: number, untilMs: number): void {
    const statements = this.#statements
    statements?.deleteLapsed.run(nowMs)
    statements?.insert.run(id, movedTo, guid, uuid, publicKey, peerInfo(ip), untilMs)
  }

  /** Somebody has the id now, or it is free. */
  drop(id: PeerId): void {
    this.#statements?.delete.run(id)
  }
}

function prepareAll(db: DatabaseSync): Record<'select' | 'insert' | 'delete' | 'deleteLapsed', StatementSync> {
  return {
    select: db.prepare('SELECT moved_to, guid, uuid, pk, info FROM tryst_moved_id WHERE id = ? AND held_until_ms > ?'),
    insert: db.prepare(
      `INSERT OR REPLACE INTO tryst_moved_id (id, moved_to, guid, uuid, pk, info, held_until_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    delete: db.prepare('DELETE FROM tryst_moved_id WHERE id = ?'),
    deleteLapsed: db.prepare('DELETE FROM tryst_moved_id WHERE held_until_ms <= ?'),
  }
}
