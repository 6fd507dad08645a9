import { closeSync, fsyncSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describeFailure } from './database-failure.ts'
import { DatabaseOpenError } from './open-database.ts'
import { peerInfo } from './peer-info.ts'
import { formatCreatedAt, type PeerRow } from './peer-row.ts'
import { createPeerTable } from './peer-table.ts'

/** A device whose time of creation is known. */
export type NewPeerRow = PeerRow & { readonly createdMs: number }

/**
 * Makes a database with these rows in the reference's form, complete in one file and on disk when this resolves. The
 * file must not exist. Throws DatabaseOpenError when it cannot be made; a beginning of it may then be left.
 *
 * @returns the number of rows
 */
export async function writePeers(path: string, batches: AsyncIterable<readonly NewPeerRow[]>): Promise<number> {
  const write = <T>(action: () => T): T => {
    try {
      return action()
    } catch (error) {
      throw new DatabaseOpenError(describeFailure(error, path), { cause: error })
    }
  }
  const db = write(() => new DatabaseSync(path))
  try {
    const insert = write(() => {
      db.exec('PRAGMA journal_mode = WAL')
      db.exec('BEGIN')
      createPeerTable(db)
      return db.prepare('INSERT INTO peer (guid, id, uuid, pk, created_at, info) VALUES (?, ?, ?, ?, ?, ?)')
    })
    let rows = 0
    for await (const batch of batches) {
      write(() => {
        for (const { guid, id, uuid, publicKey, createdMs, ip } of batch)
          insert.run(guid, id, uuid, publicKey, formatCreatedAt(createdMs), peerInfo(ip))
      })
      rows += batch.length
    }
    write(() => {
      db.exec('COMMIT')
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    })
    return rows
  } finally {
    db.close()
    write(() => syncFile(path))
  }
}

function syncFile(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
