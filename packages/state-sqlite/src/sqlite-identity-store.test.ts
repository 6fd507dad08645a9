import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { identityStoreContract } from '@tryst/rendezvous/contract'
import { SqliteIdentityStore } from './sqlite-identity-store.ts'

for (const durability of ['normal', 'full'] as const) {
  identityStoreContract(`SqliteIdentityStore (${durability})`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-'))
    const path = join(folder, 'db_v2.sqlite3')
    return {
      open: async () => new SqliteIdentityStore({ path, durability }),
      interruptWrites: async () => {
        const other = new DatabaseSync(path)
        other.exec('BEGIN IMMEDIATE')
        return async () => other.close()
      },
      dispose: async () => rmSync(folder, { recursive: true }),
    }
  })
}
