import { spawnSync } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { DatabaseOpenError, SqliteIdentityStore } from '../src/index.ts'
import { temporaryFolder } from './temporary-folder.ts'

describe('a database that cannot be used', () => {
  let folder: ReturnType<typeof temporaryFolder>
  let path: string

  beforeEach(() => {
    folder = temporaryFolder()
    path = join(folder.path, 'db_v2.sqlite3')
  })

  afterEach(() => folder.remove())

  function openingError(): DatabaseOpenError {
    try {
      new SqliteIdentityStore({ path })
    } catch (error) {
      if (error instanceof DatabaseOpenError) return error
      throw error
    }
    throw new Error('the database was opened')
  }

  async function fill(peers: number): Promise<void> {
    const store = new SqliteIdentityStore({ path })
    const bytes = new Uint8Array(32)
    await Promise.all(
      Array.from({ length: peers }, (_, index) =>
        store.create({ id: String(index) as PeerId, uuid: bytes, publicKey: bytes, ip: '203.0.113.7' }),
      ),
    )
    await store.close()
  }

  function change(statements: string): void {
    const db = new DatabaseSync(path)
    db.exec(statements)
    db.close()
  }

  it('is named when its folder does not exist', () => {
    path = join(folder.path, 'missing', 'db_v2.sqlite3')
    const error = openingError()
    expect(error.reason).toBe('missing-folder')
    expect(error.message).toContain(path)
    expect(error.message).toMatch(/create it, or correct DB_URL/)
  })

  it('is named when it is a folder', () => {
    mkdirSync(path)
    expect(openingError()).toMatchObject({ reason: 'is-a-folder', message: expect.stringContaining(path) })
  })

  it.each([10, 20_000])('is told from other files of %i bytes, and left as it is', (length) => {
    writeFileSync(path, Buffer.alloc(length, 'no database '))
    expect(openingError()).toMatchObject({ reason: 'not-a-database', message: expect.stringMatching(/backup/) })
    expect(readdirSync(folder.path)).toEqual(['db_v2.sqlite3'])
  })

  it('is recognised when its end is missing', async () => {
    await fill(500)
    truncateSync(path, 30_000)
    expect(openingError()).toMatchObject({ reason: 'corrupt', message: expect.stringMatching(/-wal/) })
  })

  it('is recognised when a page in it is damaged', async () => {
    await fill(500)
    const file = openSync(path, 'r+')
    writeSync(file, Buffer.alloc(4096, 0x5a), 0, 4096, 5 * 4096)
    closeSync(file)
    expect(openingError()).toMatchObject({ reason: 'corrupt' })
  })

  it('is recognised when columns are missing, and left as it is', () => {
    change('CREATE TABLE peer (guid blob primary key, id text, uuid blob, info text)')
    const error = openingError()
    expect(error.reason).toBe('wrong-schema')
    expect(error.message).toMatch(/no column "pk", "created_at", "user", "status", "note"/)
    const db = new DatabaseSync(path)
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' })
    expect(db.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'index%'").all()).toEqual([])
    db.close()
  })

  it('is recognised when it demands values that nobody gives', async () => {
    await fill(0)
    const added = 'ALTER TABLE peer ADD COLUMN'
    change(`${added} owner text; ${added} team text NOT NULL DEFAULT 'none'`)
    await fill(1)
    change(
      'DROP TABLE peer; CREATE TABLE peer (guid blob primary key, id, uuid, pk, created_at, user, status, note, info, owner NOT NULL)',
    )
    expect(openingError()).toMatchObject({
      reason: 'wrong-schema',
      message: expect.stringMatching(/value for "owner"/),
    })
  })

  it('is recognised when an id is in it twice', async () => {
    await fill(1)
    change("DROP INDEX index_peer_id; INSERT INTO peer (guid, id, uuid, pk, info) VALUES (x'00', '0', x'', x'', '')")
    expect(openingError()).toMatchObject({
      reason: 'wrong-schema',
      message: expect.stringMatching(/"0" more than once/),
    })
  })

  it('is reported as locked while another program writes to it', async () => {
    await fill(1)
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    expect(openingError()).toMatchObject({ reason: 'locked', message: expect.stringMatching(/another hbbs/) })
    other.close()
    await fill(0)
  })

  describe('because of its permissions', () => {
    const openUnprivileged = () => {
      const child = join(import.meta.dirname, 'open-unprivileged.child.mjs')
      const { stdout, stderr } = spawnSync(process.execPath, [child, path], { encoding: 'utf8' })
      expect(stderr).toBe('')
      return JSON.parse(stdout) as { reason: string; message: string }
    }

    it('is opened where they allow it', async () => {
      await fill(1)
      chmodSync(folder.path, 0o777)
      chmodSync(path, 0o666)
      expect(openUnprivileged()).toEqual({ peers: 1 })
    })

    it('says that the file is read-only', async () => {
      await fill(1)
      chmodSync(folder.path, 0o777)
      chmodSync(path, 0o444)
      expect(openUnprivileged()).toMatchObject({
        reason: 'read-only',
        message: expect.stringMatching(/the file cannot be written by this user/),
      })
    })

    it.each(['exists', 'does not exist'])('says that the folder is read-only when the file %s', async (state) => {
      if (state === 'exists') {
        await fill(1)
        chmodSync(path, 0o666)
      }
      chmodSync(folder.path, 0o555)
      const { reason, message } = openUnprivileged()
      chmodSync(folder.path, 0o755)
      expect(reason).toBe('read-only')
      expect(message).toContain(`the folder ${folder.path} cannot be written`)
    })
  })
})
