import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { MAX_TRACE_PARTS, StoreUnavailableError, type TracePart, type TraceStore } from '@tryst/rendezvous'
import { describeFailure } from './database-failure.ts'

/** Another process only reads, for a moment; this one must not wait for it. */
const BUSY_TIMEOUT_MS = 50
/** Parts that are read, or forgotten because of their age, in one step. */
const BATCH = 500

/** Where the trace is kept: in a file of its own, so that a database of devices stays what it was. */
export const traceFile = (databasePath: string): string => join(dirname(databasePath), 'trace.sqlite3')

/**
 * What this server saw of attempts. Nothing of it is worth waiting for a disk: after a power failure the last of it, or
 * all of it, may be gone.
 */
export class SqliteTraceStore implements TraceStore {
  #db: DatabaseSync | undefined

  /** The file comes with the first part. @param keepMs older parts go */
  constructor(
    private readonly path: string,
    private readonly keepMs: number,
  ) {}

  async write(parts: readonly TracePart[]): Promise<void> {
    if (parts.length === 0) return
    this.#guarded(() => {
      this.#db ??= openTrace(this.path)
      const db = this.#db
      db.exec('BEGIN IMMEDIATE')
      try {
        const insert = db.prepare('INSERT INTO part (at_ms, part) VALUES (?, ?)')
        for (const part of parts) insert.run(part.atMs, JSON.stringify(part))
        db.prepare('DELETE FROM part WHERE seq <= (SELECT max(seq) FROM part) - ?').run(MAX_TRACE_PARTS)
        const oldest = `SELECT seq FROM part ORDER BY seq LIMIT ${BATCH}`
        const untilMs = (parts.at(-1)?.atMs ?? 0) - this.keepMs
        db.prepare(`DELETE FROM part WHERE seq IN (${oldest}) AND at_ms < ?`).run(untilMs)
        db.exec('COMMIT')
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    })
  }

  async *read(): AsyncGenerator<TracePart> {
    if (!existsSync(this.path)) return
    const db = this.#guarded(() => new DatabaseSync(this.path, { timeout: BUSY_TIMEOUT_MS }))
    try {
      const select = this.#guarded(() =>
        db.prepare('SELECT seq, part FROM part WHERE seq < ? ORDER BY seq DESC LIMIT ?'),
      )
      for (let before = Number.MAX_SAFE_INTEGER; ; ) {
        const rows = this.#guarded(() => select.all(before, BATCH))
        for (const { part } of rows) yield JSON.parse(String(part)) as TracePart
        if (rows.length < BATCH) return
        before = Number(rows.at(-1)?.seq)
        await setImmediate()
      }
    } finally {
      db.close()
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#db?.close()
    this.#db = undefined
  }

  #guarded<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      throw new StoreUnavailableError(describeFailure(error, this.path).text, { cause: error })
    }
  }
}

function openTrace(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    db.exec('PRAGMA journal_mode = WAL')
    db.exec('PRAGMA synchronous = OFF')
    db.exec(
      'CREATE TABLE IF NOT EXISTS part (seq integer PRIMARY KEY NOT NULL, at_ms integer NOT NULL, part text NOT NULL)',
    )
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
