import type { DatabaseSync } from 'node:sqlite'

/**
 * The table of the reference server, statement for statement (docs/state.md, SQLite): a database may go back and forth
 * between the two. It has no schema version.
 */
const STATEMENTS = [
  `CREATE TABLE IF NOT EXISTS peer (
    guid blob PRIMARY KEY NOT NULL,
    id varchar(100) NOT NULL,
    uuid blob NOT NULL,
    pk blob NOT NULL,
    created_at datetime NOT NULL DEFAULT (current_timestamp),
    user blob,
    status tinyint,
    note varchar(300),
    info text NOT NULL
  ) WITHOUT ROWID`,
  'CREATE UNIQUE INDEX IF NOT EXISTS index_peer_id ON peer (id)',
  'CREATE INDEX IF NOT EXISTS index_peer_user ON peer (user)',
  'CREATE INDEX IF NOT EXISTS index_peer_created_at ON peer (created_at)',
  'CREATE INDEX IF NOT EXISTS index_peer_status ON peer (status)',
]

const COLUMNS = ['guid', 'id', 'uuid', 'pk', 'created_at', 'user', 'status', 'note', 'info']
/** Columns that every new row gets a value for, by us or by default. */
const FILLED_COLUMNS = new Set(['guid', 'id', 'uuid', 'pk', 'created_at', 'info'])

/** Creates what is missing. Has to run inside a transaction. */
export function createPeerTable(db: DatabaseSync): void {
  for (const statement of STATEMENTS) db.exec(statement)
}

/** What keeps an existing table from being used, in words; undefined when nothing does, or when there is no table. */
export function findSchemaFault(db: DatabaseSync): string | undefined {
  const columns = db.prepare('SELECT name, "notnull", dflt_value FROM pragma_table_info(\'peer\')').all()
  if (columns.length === 0) return undefined
  const names = new Set(columns.map(({ name }) => String(name)))
  const missing = COLUMNS.filter((name) => !names.has(name))
  if (missing.length > 0) return `its table "peer" has no column ${missing.map((name) => `"${name}"`).join(', ')}`
  const demanding = columns.filter(
    ({ name, notnull, dflt_value }) => notnull === 1 && dflt_value === null && !FILLED_COLUMNS.has(String(name)),
  )
  if (demanding.length > 0) {
    return `its table "peer" demands a value for ${demanding.map(({ name }) => `"${name}"`).join(', ')}`
  }
  if (db.prepare("SELECT 1 FROM pragma_index_list('peer') WHERE name = 'index_peer_id'").get()) return undefined
  const twice = db.prepare('SELECT id FROM peer GROUP BY id HAVING count(*) > 1').get()
  return twice && `its table "peer" holds the id ${JSON.stringify(twice.id)} more than once`
}
