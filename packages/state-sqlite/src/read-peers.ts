import { closeSync, cpSync, existsSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { describeFailure, failure } from './database-failure.ts'
import { DatabaseOpenError } from './open-database.ts'
import { judgePeerRow, type PeerRow, type RawPeerRow, shownId, type UnusableRow } from './peer-row.ts'
import { findSchemaFault } from './peer-table.ts'

/** Everything in a database, at one moment. */
export interface ReadPeers {
  /** By id. */
  readonly peers: readonly PeerRow[]
  readonly unusable: readonly { readonly id: string; readonly reason: UnusableRow }[]
  /** Rows with a user, status or note, which neither server writes. */
  readonly withMore: number
}

const BUSY_TIMEOUT_MS = 2_000
/** In the database's header; 2: write-ahead log. */
const JOURNAL_MODE_AT = 18
const WRITE_AHEAD = 2
const READ_ONLY = 8
const CANNOT_OPEN = 14

/**
 * Reads all rows of a database, which may be in use, and leaves the folder as it is. Throws DatabaseOpenError when the
 * file cannot be read as a whole or is no database of hbbs.
 */
export function readPeers(path: string): ReadPeers {
  try {
    if (!existsSync(path)) throw new DatabaseOpenError({ reason: 'other', text: `${path}: there is no such file` })
    return readInPlace(path)
  } catch (error) {
    if (error instanceof DatabaseOpenError) throw error
    if (!isUnwritable(error)) throw new DatabaseOpenError(describeFailure(error, path), { cause: error })
  }
  try {
    return readCopy(path)
  } catch (error) {
    if (error instanceof DatabaseOpenError) throw error
    throw new DatabaseOpenError(describeFailure(error, path), { cause: error })
  }
}

function readInPlace(path: string): ReadPeers {
  // Whoever has a database in write-ahead mode open has its log; without one nobody writes, and none need be made.
  const isAtRest = isWriteAhead(path) && !existsSync(`${path}-wal`)
  const url = pathToFileURL(path)
  if (isAtRest) url.searchParams.set('immutable', '1')
  return readFrom(url, path)
}

/** The log of a server that was killed is read into the database first, which a folder may forbid. */
function readCopy(path: string): ReadPeers {
  const folder = mkdtempSync(join(tmpdir(), 'tryst-read-'))
  try {
    const copy = join(folder, 'copy.sqlite3')
    cpSync(path, copy)
    if (existsSync(`${path}-wal`)) cpSync(`${path}-wal`, `${copy}-wal`)
    return readFrom(pathToFileURL(copy), path)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readFrom(url: URL, path: string): ReadPeers {
  const db = new DatabaseSync(url, { readOnly: true, timeout: BUSY_TIMEOUT_MS })
  try {
    // One view for all that follows.
    db.exec('BEGIN')
    if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'peer'").get())
      throw new DatabaseOpenError(failure('wrong-schema', path, 'it has no table "peer"'))
    const fault = findSchemaFault(db)
    if (fault !== undefined) throw new DatabaseOpenError(failure('wrong-schema', path, fault))
    const [finding] = Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {})
    if (finding !== 'ok')
      throw new DatabaseOpenError(failure('corrupt', path, ` (${String(finding).replaceAll(/\s+/g, ' ')})`))
    return readRows(db)
  } finally {
    db.close()
  }
}

function readRows(db: DatabaseSync): ReadPeers {
  const peers: PeerRow[] = []
  const unusable: { id: string; reason: UnusableRow }[] = []
  let withMore = 0
  // Other programs may have stored texts where the reference stores blobs; it reads both.
  const rows = db.prepare(
    `SELECT typeof(id) AS idType, CAST(id AS blob) AS id, CAST(guid AS blob) AS guid, CAST(uuid AS blob) AS uuid,
       CAST(pk AS blob) AS pk, CAST(created_at AS text) AS createdAt, CAST(info AS text) AS info,
       coalesce(user, status, note) IS NOT NULL AS hasMore
     FROM peer ORDER BY id`,
  )
  for (const row of rows.iterate()) {
    const raw = row as unknown as RawPeerRow & { readonly hasMore: number }
    const judged = judgePeerRow(raw)
    withMore += raw.hasMore
    if (typeof judged === 'string') unusable.push({ id: shownId(raw), reason: judged })
    else peers.push(judged)
  }
  return { peers, unusable, withMore }
}

function isWriteAhead(path: string): boolean {
  const header = new Uint8Array(JOURNAL_MODE_AT + 1)
  const file = openSync(path, 'r')
  try {
    readSync(file, header, 0, header.length, 0)
  } finally {
    closeSync(file)
  }
  return header[JOURNAL_MODE_AT] === WRITE_AHEAD
}

function isUnwritable(error: unknown): boolean {
  const { errcode = 0 } = error as { errcode?: number }
  return [READ_ONLY, CANNOT_OPEN].includes(errcode & 0xff)
}
