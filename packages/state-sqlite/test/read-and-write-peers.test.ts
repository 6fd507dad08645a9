import { chmodSync, copyFileSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import fc from 'fast-check'
import { type NewPeerRow, readPeers, SqliteIdentityStore, writePeers } from '../src/index.ts'
import { temporaryFolder } from './temporary-folder.ts'

let folder: ReturnType<typeof temporaryFolder>
let path: string

beforeEach(() => {
  folder = temporaryFolder()
  path = join(folder.path, 'db_v2.sqlite3')
})

afterEach(() => folder.remove())

const row = (id: string, value = 1): NewPeerRow => ({
  id,
  guid: Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? value : id.charCodeAt(index % id.length))),
  uuid: new Uint8Array(36).fill(value),
  publicKey: new Uint8Array(32).fill(value),
  ip: '203.0.113.7',
  createdMs: 1_700_000_000_000,
})

async function* batches(...lists: readonly NewPeerRow[][]) {
  yield* lists
}

const byId = (a: { readonly id: string }, b: { readonly id: string }) =>
  Buffer.compare(Buffer.from(a.id), Buffer.from(b.id))

describe('rows that are written', () => {
  it('are read again as they were, whatever they hold', async () => {
    const peers = fc.uniqueArray(
      fc.record({
        id: fc.string({ unit: 'binary', minLength: 6, maxLength: 25 }).filter((id) => id.isWellFormed()),
        guid: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        uuid: fc.uint8Array({ minLength: 1, maxLength: 300 }),
        publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
        ip: fc.oneof(fc.ipV4(), fc.constant(''), fc.constant('2001:db8::1')),
        createdMs: fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1_000),
      }),
      { maxLength: 20, selector: ({ id }) => id },
    )
    await fc.assert(
      fc.asyncProperty(peers, fc.uuid(), async (generated, name) => {
        const rows = [...new Map(generated.map((each) => [Buffer.from(each.guid).toString('hex'), each])).values()]
        const file = join(folder.path, name)
        expect(await writePeers(file, batches(rows.slice(0, 3), rows.slice(3)))).toBe(rows.length)
        const read = readPeers(file)
        expect([...read.peers].sort(byId)).toEqual([...rows].sort(byId))
        expect(read).toMatchObject({ unusable: [], withMore: 0 })
      }),
      { numRuns: 30 },
    )
  })

  it('are complete in one file, which a server of ours opens', async () => {
    await writePeers(path, batches([row('one-device')]))
    expect(readdirSync(folder.path)).toEqual(['db_v2.sqlite3'])
    const store = new SqliteIdentityStore({ path })
    expect(await store.find('one-device' as PeerId)).toMatchObject({ uuid: row('one-device').uuid, ip: '203.0.113.7' })
    await store.close()
  })

  it('name the file that cannot be made', async () => {
    await expect(writePeers(join(path, 'inside', 'x'), batches([]))).rejects.toThrow(/x: the folder .* does not exist/)
  })
})

describe('a database that is read', () => {
  it('is left as it was, and so is its folder', async () => {
    await writePeers(path, batches([row('one-device')]))
    const before = readFileSync(path)
    expect(readPeers(path).peers).toHaveLength(1)
    expect(readdirSync(folder.path)).toEqual(['db_v2.sqlite3'])
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  it('may be in use', async () => {
    const store = new SqliteIdentityStore({ path })
    const { guid, createdMs, publicKey, ...rest } = row('one-device')
    await store.create({ ...rest, id: rest.id as PeerId, publicKey })
    expect(readPeers(path).peers).toMatchObject([{ id: 'one-device' }])
    await store.create({ ...rest, id: 'another-device' as PeerId, publicKey })
    expect(readPeers(path).peers).toHaveLength(2)
    await store.close()
  })

  it('is read with the log of a server that was killed', async () => {
    const store = new SqliteIdentityStore({ path })
    const { guid, createdMs, publicKey, ...rest } = row('one-device')
    await store.create({ ...rest, id: rest.id as PeerId, publicKey })
    const copy = join(folder.path, 'copy.sqlite3')
    copyFileSync(path, copy)
    copyFileSync(`${path}-wal`, `${copy}-wal`)
    await store.close()
    expect(readPeers(copy).peers).toMatchObject([{ id: 'one-device' }])
  })

  it('may be in the journal mode of old servers', () => {
    const db = new DatabaseSync(path)
    db.exec(`CREATE TABLE peer (guid blob, id varchar(100), uuid blob, pk blob, created_at datetime, user blob,
      status tinyint, note varchar(300), info text)`)
    db.exec(`INSERT INTO peer VALUES (zeroblob(16), '123456789', 'text', zeroblob(32), 'long ago', NULL, 1, NULL, 'x')`)
    db.close()
    expect(readPeers(path)).toEqual({
      peers: [
        {
          id: '123456789',
          guid: new Uint8Array(16),
          uuid: Uint8Array.from(Buffer.from('text')),
          publicKey: new Uint8Array(32),
          ip: '',
          createdMs: undefined,
        },
      ],
      unusable: [],
      withMore: 1,
    })
    expect(readdirSync(folder.path)).toEqual(['db_v2.sqlite3'])
  })

  it.each([
    ['there is none', () => undefined, /there is no such file/],
    ['it is another file', () => writeFileSync(path, 'x'.repeat(4_096)), /not an SQLite database/],
    ['it has no devices', () => new DatabaseSync(path).exec('CREATE TABLE other (id)'), /it has no table "peer"/],
    ['its table is another', () => new DatabaseSync(path).exec('CREATE TABLE peer (id)'), /has no column "guid"/],
    [
      'an id is there twice',
      () =>
        new DatabaseSync(path).exec(`
          CREATE TABLE peer (guid, id, uuid, pk, created_at, user, status, note, info);
          INSERT INTO peer (id) VALUES ('123456789'), ('123456789')`),
      /holds the id "123456789" more than once/,
    ],
  ])('is refused where %s', (_, make, message) => {
    make()
    expect(() => readPeers(path)).toThrow(message)
  })

  it('is refused where it is damaged', async () => {
    const many = Array.from({ length: 2_000 }, (_, index) => row(`device-${index}`, index % 256))
    const distinct = many.map((each, index) => ({
      ...each,
      guid: Buffer.from(index.toString(16).padStart(32, '0'), 'hex'),
    }))
    await writePeers(path, batches(distinct))
    const bytes = readFileSync(path)
    bytes.fill(0x55, 8_192, 40_960)
    writeFileSync(path, bytes)
    expect(() => readPeers(path)).toThrow(/the database is damaged/)
  })
})

const vectors = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')
const [suite, name] = existsSync(join(vectors, 'data-folder'))
  ? [describe, 'a data folder of the reference server']
  : [describe.skip, `a data folder of the reference server (skipped: no recordings in ${vectors}, see VECTORS_DIR)`]

suite(name, () => {
  it('is read with what cannot be served set apart, also where nothing may be written', () => {
    cpSync(join(vectors, 'data-folder', 'db_v2.sqlite3'), path, { mode: 0 })
    chmodSync(folder.path, 0o555)
    const { peers, unusable } = readPeers(path)
    chmodSync(folder.path, 0o755)
    expect(peers.map(({ id }) => id)).toContain('äöü 名')
    expect(peers.find(({ id }) => id === '123456789')).toMatchObject({ ip: '203.0.113.9' })
    expect(unusable).toEqual([
      { id: '"310000006"', reason: 'key-length' },
      { id: JSON.stringify('x'.repeat(120)), reason: 'id-too-long' },
    ])
  })
})
