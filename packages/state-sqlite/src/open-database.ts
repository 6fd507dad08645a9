import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { type DatabaseFailure, type DatabaseFailureReason, describeFailure, failure } from './database-failure.ts'
import { createPeerTable, findSchemaFault } from './peer-table.ts'

/**
 * When a write counts as accepted. `normal`: the operating system has it, so that the death of the process loses
 * nothing; a power cut may lose the last moments, never the database. `full`: the disk has it; each transaction waits
 * for the disk (docs/configuration.md, SQLITE_SYNC).
 */
export type Durability = 'normal' | 'full'

/** The database can't be used; the message says why and what to do. Reported at start. */
export class DatabaseOpenError extends Error {
  override readonly name = 'DatabaseOpenError'
  readonly reason: DatabaseFailureReason

  constructor({ reason, text }: DatabaseFailure, options?: ErrorOptions) {
    super(text, options)
    this.reason = reason
  }
}

/** At start we wait for another program that is just writing. */
const OPEN_BUSY_TIMEOUT_MS = 2_000
/** Later a wait holds up everything else in this process; devices repeat what was refused after 3 s. */
const BUSY_TIMEOUT_MS = 200
/** Checking takes about a second for each 500 MiB; a larger database is checked by reading it. */
const MAX_CHECKED_BYTES = 64 * 2 ** 20

/** Opens or creates a database and makes sure that it can be read and written; otherwise DatabaseOpenError. */
export function openDatabase(path: string, durability: Durability): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { timeout: OPEN_BUSY_TIMEOUT_MS })
    prepareDatabase(db, path, durability)
    return db
  } catch (error) {
    if (db?.isOpen) db.close()
    if (error instanceof DatabaseOpenError) throw error
    throw new DatabaseOpenError(describeFailure(error, path), { cause: error })
  }
}

function prepareDatabase(db: DatabaseSync, path: string, durability: Durability): void {
  // First what changes nothing: a file that is not ours stays as it is.
  const fault = findSchemaFault(db)
  if (fault !== undefined) throw new DatabaseOpenError(failure('wrong-schema', path, fault))
  checkPages(db, path)
  db.exec('PRAGMA journal_mode = WAL')
  db.exec(`PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
  db.exec('BEGIN IMMEDIATE')
  createPeerTable(db)
  // Writes a page without changing anything: a full disk or a read-only file shows now, not at the first registration.
  const [version] = Object.values(db.prepare('PRAGMA user_version').get() ?? {})
  db.exec(`PRAGMA user_version = ${Number(version)}`)
  db.exec('COMMIT')
  db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
}

function checkPages(db: DatabaseSync, path: string): void {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (bytes > MAX_CHECKED_BYTES) return
  const [finding] = Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {})
  if (finding !== 'ok')
    throw new DatabaseOpenError(failure('corrupt', path, ` (${String(finding).replaceAll(/\s+/g, ' ')})`))
}
