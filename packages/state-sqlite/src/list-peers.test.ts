import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { type ListedPeer, listPeers } from './list-peers.ts'
import { SqliteIdentityStore } from './sqlite-identity-store.ts'

describe('the devices in a database', () => {
  let folder: string
  let path: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tryst-'))
    path = join(folder, 'db_v2.sqlite3')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  async function all() {
    const peers: ListedPeer[] = []
    for await (const batch of listPeers(path)) peers.push(...batch)
    return peers
  }

  it('are all listed, by their ids, while a server uses it', async () => {
    const store = new SqliteIdentityStore({ path })
    const ids = Array.from({ length: 1_234 }, (_, index) => `device-${String(index).padStart(4, '0')}` as PeerId)
    const device = { uuid: new Uint8Array(36), publicKey: new Uint8Array(32), ip: '203.0.113.7' }
    await Promise.all(ids.toReversed().map((id) => store.create({ ...device, id })))
    const listed = await all()
    expect(listed.map(({ id }) => id)).toEqual(ids)
    expect(listed[0]).toMatchObject({ ip: '203.0.113.7', createdMs: expect.any(Number) })
    await store.close()
  })

  it('are none where there are none', async () => {
    await new SqliteIdentityStore({ path }).close()
    expect(await all()).toEqual([])
  })

  it('are not told of a database that is none', async () => {
    await expect(all()).rejects.toThrow(StoreUnavailableError)
  })
})
