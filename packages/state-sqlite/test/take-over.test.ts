import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { SqliteIdentityStore } from '../src/index.ts'
import { temporaryFolder } from './temporary-folder.ts'

interface Row {
  readonly guid: string
  readonly id: string
  readonly uuid: string
  readonly pk: string
  readonly created_at: string
  readonly user: null
  readonly status: null
  readonly note: null
  readonly info: string
}

interface Recorded {
  readonly database: {
    readonly pragmas: Record<string, unknown>
    readonly sql: string[]
    readonly columns: { name: string; type: string; notNull: boolean; default: string | null; primaryKey: boolean }[]
    readonly indexes: { name: string; unique: boolean; columns: string[] }[]
    readonly storageClasses: Record<string, string>
  }
  readonly rows: { readonly cases: Row[] }
}

const vectors = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')
const [suite, name] = existsSync(join(vectors, 'database.json'))
  ? [describe, 'a data folder of the reference server']
  : [describe.skip, `a data folder of the reference server (skipped: no recordings in ${vectors}, see VECTORS_DIR)`]

suite(name, () => {
  let folder: ReturnType<typeof temporaryFolder>
  let path: string
  let recorded: Recorded

  beforeEach(() => {
    recorded = JSON.parse(readFileSync(join(vectors, 'database.json'), 'utf8'))
    folder = temporaryFolder()
    path = join(folder.path, 'db_v2.sqlite3')
  })

  afterEach(() => folder.remove())

  const copyRecorded = () => cpSync(join(vectors, 'data-folder', 'db_v2.sqlite3'), path, { mode: 0 })

  function read<T>(query: (db: DatabaseSync) => T): T {
    const db = new DatabaseSync(path)
    try {
      return query(db)
    } finally {
      db.close()
    }
  }

  const rows = (db: DatabaseSync) =>
    db
      .prepare(
        `SELECT lower(hex(guid)) AS guid, id, lower(hex(uuid)) AS uuid, lower(hex(pk)) AS pk,
           created_at, user, status, note, info FROM peer ORDER BY id`,
      )
      .all()
      .map((row) => ({ ...row }))

  const byId = (a: { id?: unknown }, b: { id?: unknown }) => (String(a.id) < String(b.id) ? -1 : 1)

  it('opens as it is: every device under its id, with its address in plain form', async () => {
    copyRecorded()
    const store = new SqliteIdentityStore({ path })
    expect(store.count()).toBe(recorded.rows.cases.length)
    for (const row of recorded.rows.cases)
      expect(await store.find(row.id as PeerId)).toEqual({
        id: row.id,
        guid: Uint8Array.from(Buffer.from(row.guid, 'hex')),
        uuid: Uint8Array.from(Buffer.from(row.uuid, 'hex')),
        publicKey: Uint8Array.from(Buffer.from(row.pk, 'hex')),
        ip: JSON.parse(row.info).ip.replace('::ffff:', ''),
        standing: 'certain',
      })
    await store.close()
  })

  it('is left as it was when nothing happened', async () => {
    copyRecorded()
    await new SqliteIdentityStore({ path }).close()
    expect(read(rows).sort(byId)).toEqual([...recorded.rows.cases].sort(byId))
    expect(readdirSync(folder.path)).toEqual(['db_v2.sqlite3'])
    const sql = read((db) =>
      db
        .prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL')
        .all()
        .map((row) => row.sql),
    )
    expect(sql).toEqual(recorded.database.sql)
    read((db) => {
      for (const [pragma, value] of Object.entries(recorded.database.pragmas)) {
        if (pragma === 'foreign_keys') continue // Belongs to a connection, not to the file.
        expect({ [pragma]: Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0] }).toEqual({ [pragma]: value })
      }
    })
  })

  it('keeps guid, uuid and time of a device that moves or changes its key', async () => {
    copyRecorded()
    const store = new SqliteIdentityStore({ path })
    const current = await store.find('123456789' as PeerId)
    if (!current) throw new Error('123456789 is missing')
    expect(await store.update(current, { publicKey: new Uint8Array(32).fill(9), ip: '203.0.113.77' })).toBe(true)
    await store.close()
    const expected = recorded.rows.cases.map((row) =>
      row.id === '123456789' ? { ...row, pk: '09'.repeat(32), info: '{"ip":"203.0.113.77"}' } : row,
    )
    expect(read(rows).sort(byId)).toEqual(expected.sort(byId))
  })

  it.each(['taken over', 'newly made'])('gets new rows as the reference writes them (%s)', async (origin) => {
    if (origin === 'taken over') copyRecorded()
    const store = new SqliteIdentityStore({ path })
    const uuid = new TextEncoder().encode('machine-id-B')
    await store.create({ id: '500000001' as PeerId, uuid, publicKey: new Uint8Array(32).fill(5), ip: '203.0.113.7' })
    await store.close()
    const row = read(rows).find(({ id }) => id === '500000001')
    expect(row).toEqual({
      id: '500000001',
      guid: expect.stringMatching(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/),
      uuid: Buffer.from('machine-id-B').toString('hex'),
      pk: '05'.repeat(32),
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
      user: null,
      status: null,
      note: null,
      info: '{"ip":"203.0.113.7"}',
    })
    expect(Math.abs(Date.parse(`${row?.created_at}Z`) - Date.now())).toBeLessThan(60_000)
    const columns = Object.keys(recorded.database.storageClasses)
    const types = columns.map((column) => `typeof(${column}) AS ${column}`).join(', ')
    const classes = read((db) => db.prepare(`SELECT ${types} FROM peer WHERE id = '500000001'`).get())
    expect({ ...classes }).toEqual(recorded.database.storageClasses)
  })

  it('has the same table and indexes when it is newly made', async () => {
    await new SqliteIdentityStore({ path }).close()
    read((db) => {
      const columns = db
        .prepare('PRAGMA table_info(peer)')
        .all()
        .map((column) => ({
          name: column.name,
          type: column.type,
          notNull: column.notnull === 1,
          default: column.dflt_value,
          primaryKey: column.pk === 1,
        }))
      expect(columns).toEqual(recorded.database.columns)
      const indexes = db
        .prepare("SELECT name, \"unique\" FROM pragma_index_list('peer') WHERE origin = 'c'")
        .all()
        .map(({ name, unique }) => ({
          name,
          unique: unique === 1,
          columns: db
            .prepare('SELECT name FROM pragma_index_info(?)')
            .all(String(name))
            .map((column) => column.name),
        }))
      expect(indexes).toEqual(recorded.database.indexes)
      expect(db.prepare("SELECT wr FROM pragma_table_list('peer')").get()).toEqual({ wr: 1 })
      for (const pragma of ['journal_mode', 'user_version', 'application_id', 'page_size', 'encoding', 'auto_vacuum'])
        expect(Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]).toBe(recorded.database.pragmas[pragma])
    })
  })

  it('is read where other programs left texts instead of blobs, or an address that is none', async () => {
    copyRecorded()
    read((db) =>
      db.exec(
        "UPDATE peer SET uuid = CAST(uuid AS text), pk = 'a text of a public key, 32 bytes', info = 'x' WHERE id = '123456789'",
      ),
    )
    const store = new SqliteIdentityStore({ path })
    const current = await store.find('123456789' as PeerId)
    expect(current).toMatchObject({ uuid: Uint8Array.from(Buffer.from('machine-id-B')), ip: '' })
    if (!current) throw new Error('123456789 is missing')
    expect(current.publicKey).toHaveLength(32)
    expect(await store.update(current, { publicKey: new Uint8Array(32), ip: '203.0.113.7' })).toBe(true)
    await store.close()
  })
})
