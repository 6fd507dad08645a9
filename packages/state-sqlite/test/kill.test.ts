import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { type Durability, SqliteIdentityStore } from '../src/index.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** What the child has been told by its store: the last acknowledged key number of each id. */
type Acknowledged = Map<string, number>

describe('a process that is killed', () => {
  let folder: ReturnType<typeof temporaryFolder>
  let child: ChildProcess | undefined

  beforeEach(() => {
    folder = temporaryFolder()
  })

  afterEach(() => {
    child?.kill('SIGKILL')
    folder.remove()
  })

  async function registerUntilKilled(path: string, durability: Durability, prefix: string): Promise<Acknowledged> {
    const script = join(import.meta.dirname, 'register-forever.child.mjs')
    child = spawn(process.execPath, [script, path, durability, prefix], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    const acknowledged: Acknowledged = new Map()
    let lines = 0
    if (!child.stdout) throw new Error('the child has no output')
    for await (const line of createInterface(child.stdout)) {
      const [id, key] = line.split(' ')
      if (id && key) acknowledged.set(id, Number(key))
      if (++lines === 1_500) child.kill('SIGKILL')
    }
    expect(await exited).toEqual([null, 'SIGKILL'])
    return acknowledged
  }

  it.each(['normal', 'full'] as const)('has lost nothing that it acknowledged (%s)', async (durability) => {
    const path = join(folder.path, 'db_v2.sqlite3')
    const acknowledged: Acknowledged = new Map()
    for (const prefix of ['first', 'second', 'third'])
      for (const [id, key] of await registerUntilKilled(path, durability, prefix)) acknowledged.set(id, key)
    expect(acknowledged.size).toBeGreaterThan(2_000)

    const store = new SqliteIdentityStore({ path })
    for (const [id, key] of acknowledged) {
      const found = await store.find(id as PeerId)
      // Keys only rise, and the last one may have been stored without having been acknowledged.
      expect(found?.publicKey[0]).toBeGreaterThanOrEqual(key)
    }
    expect(store.count()).toBeGreaterThanOrEqual(acknowledged.size)
    await store.close()
  })
})
