import type { DatabaseSync } from 'node:sqlite'

/**
 * Tables of ours beside the reference's, which knows nothing of them (docs/state.md, SQLite). Fingerprints instead of
 * uuids and keys, hashes instead of tokens: whoever reads a copy of the file learns nothing that lets a device in.
 */
const STATEMENTS = [
  `CREATE TABLE IF NOT EXISTS tryst_listed_device (
    id text NOT NULL,
    uuid text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    why text NOT NULL,
    ip text NOT NULL,
    source text NOT NULL,
    first_seen_ms integer NOT NULL,
    last_seen_ms integer NOT NULL,
    PRIMARY KEY (id, uuid, key)
  ) WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS tryst_invite (id text PRIMARY KEY NOT NULL, created_ms integer NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS tryst_note (id text PRIMARY KEY NOT NULL, note text NOT NULL) WITHOUT ROWID',
  `CREATE TABLE IF NOT EXISTS tryst_deploy_token (
    name text PRIMARY KEY NOT NULL,
    hash text UNIQUE NOT NULL,
    created_ms integer NOT NULL,
    expires_ms integer,
    uses_left integer,
    used integer NOT NULL
  ) WITHOUT ROWID`,
]

/** Has to run inside a transaction. */
export function createAccessTables(db: DatabaseSync): void {
  for (const statement of STATEMENTS) db.exec(statement)
}

/** A folder in which none of this is used stays as it was: the tables come with the first thing that is written. */
export function hasAccessTables(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'tryst_deploy_token'").get() !== undefined
}
