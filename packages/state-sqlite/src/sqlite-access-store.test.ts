import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { accessStoreContract } from '@tryst/rendezvous/contract'
import { SqliteAccessStore } from './sqlite-access-store.ts'
import { SqliteIdentityStore } from './sqlite-identity-store.ts'

accessStoreContract('SqliteAccessStore', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tryst-'))
  const path = join(folder, 'db_v2.sqlite3')
  await new SqliteIdentityStore({ path }).close()
  const opened: SqliteAccessStore[] = []
  return {
    open: async () => {
      const store = new SqliteAccessStore(path)
      opened.push(store)
      return store
    },
    interrupt: async () => {
      const other = new DatabaseSync(path)
      other.exec('BEGIN IMMEDIATE')
      return async () => other.close()
    },
    dispose: async () => {
      for (const store of opened) store.close()
      rmSync(folder, { recursive: true })
    },
  }
})

describe('SqliteAccessStore beside the devices', () => {
  it('leaves a database as it was until something is written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-'))
    const path = join(folder, 'db_v2.sqlite3')
    const identities = new SqliteIdentityStore({ path })
    const access = new SqliteAccessStore(path)
    const db = new DatabaseSync(path)
    const tables = () => db.prepare("SELECT name FROM sqlite_master WHERE name LIKE 'tryst%' AND type = 'table'").all()
    try {
      await access.listed()
      await access.setNote('123456789' as PeerId, '')
      await access.forget('123456789' as PeerId)
      expect(tables()).toEqual([])
      await access.invite('123456789' as PeerId, 1)
      expect(tables()).toHaveLength(4)
    } finally {
      db.close()
      access.close()
      await identities.close()
      rmSync(folder, { recursive: true })
    }
  })
})
