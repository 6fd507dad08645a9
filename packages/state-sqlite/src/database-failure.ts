import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** Why a database can't be used. */
export type DatabaseFailureReason =
  | 'disk-full'
  | 'read-only'
  | 'missing-folder'
  | 'is-a-folder'
  | 'not-a-database'
  | 'corrupt'
  | 'locked'
  | 'wrong-schema'
  | 'closed'
  | 'other'

export interface DatabaseFailure {
  readonly reason: DatabaseFailureReason
  /** What is wrong with which file, and what to do. */
  readonly text: string
}

/** Primary result codes of SQLite (the low byte of an extended code). */
const REASONS: Readonly<Record<number, DatabaseFailureReason>> = {
  3: 'read-only',
  5: 'locked',
  6: 'locked',
  8: 'read-only',
  11: 'corrupt',
  13: 'disk-full',
  26: 'not-a-database',
}
const CANNOT_OPEN = 14
const INPUT_OUTPUT = 10
/** SQLITE_IOERR_SHMSIZE: the index of the write-ahead log could not be made larger, which happens on a full disk. */
const LOG_INDEX_SIZE = 4874

/** What `node:sqlite` throws, and other errors. */
interface SqliteErrorLike {
  readonly errcode?: number
  readonly message?: string
}

/** Says in the operator's words what an error of SQLite means for this file. */
export function describeFailure(error: unknown, path: string): DatabaseFailure {
  const { errcode: code = 0, message = String(error) } = error as SqliteErrorLike
  const primary = code & 0xff
  const reason = code === LOG_INDEX_SIZE ? 'disk-full' : (REASONS[primary] ?? 'other')
  if (reason !== 'other') return failure(reason, path)
  if (primary === CANNOT_OPEN) return failure(whyCannotOpen(path), path)
  const what = primary === INPUT_OUTPUT ? 'reading or writing the disk failed' : 'the database refused'
  return { reason, text: `${path}: ${what} (${message}); check the disk and the system's log` }
}

export function failure(reason: Exclude<DatabaseFailureReason, 'other'>, path: string, detail = ''): DatabaseFailure {
  const folder = dirname(path)
  switch (reason) {
    case 'disk-full':
      return { reason, text: `${path}: the disk is full; free some space where ${folder} lies` }
    case 'read-only':
      return {
        reason,
        text: `${path}: ${unwritable(path)} cannot be written by this user; give the user that runs the server write access to the file and to its folder (files ending in -wal and -shm lie beside it)`,
      }
    case 'missing-folder':
      return { reason, text: `${path}: the folder ${folder} does not exist; create it, or correct DB_URL` }
    case 'is-a-folder':
      return { reason, text: `${path}: this is a folder; name the database file in it in DB_URL` }
    case 'not-a-database':
      return {
        reason,
        text: `${path}: this is not an SQLite database; correct DB_URL, or put the right file back from a backup`,
      }
    case 'corrupt':
      return {
        reason,
        text: `${path}: the database is damaged${detail}; if it was copied from a running server, copy it again together with its -wal file after that server has stopped, else put it back from a backup`,
      }
    case 'locked':
      return {
        reason,
        text: `${path}: another program is writing to the database and does not let go; stop it first (another hbbs on the same folder, a backup, an open sqlite3 shell)`,
      }
    case 'wrong-schema':
      return {
        reason,
        text: `${path}: ${detail}; this is not a database of hbbs, or another program has changed it: correct DB_URL, or put it back from a backup`,
      }
    case 'closed':
      return { reason, text: `${path}: the store is closed` }
    default:
      return reason satisfies never
  }
}

function whyCannotOpen(path: string): 'missing-folder' | 'is-a-folder' | 'read-only' {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return 'is-a-folder'
  return existsSync(dirname(path)) ? 'read-only' : 'missing-folder'
}

function unwritable(path: string): string {
  return existsSync(path) && !isWritable(path) ? 'the file' : `the folder ${dirname(path)}`
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}
