import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { MAX_TRACE_PARTS, StoreUnavailableError, type TracePart } from '@tryst/rendezvous'
import { SqliteTraceStore, traceFile } from './sqlite-trace-store.ts'

const DAY_MS = 86_400_000
const part = (atMs: number): TracePart => ({ atMs, node: 'a', role: 'id-server', code: 'K7M2QX', steps: [] })
let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-'))
  path = traceFile(join(folder, 'db_v2.sqlite3'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function readAll(store = new SqliteTraceStore(path, DAY_MS)): Promise<number[]> {
  const times: number[] = []
  for await (const { atMs } of store.read()) times.push(atMs)
  return times
}

describe('SqliteTraceStore', () => {
  it('has no file before something is written, and what was written after that, the latest first', async () => {
    const store = new SqliteTraceStore(path, DAY_MS)
    await store.write([])
    expect(existsSync(path)).toBe(false)
    expect(await readAll()).toEqual([])
    await store.write([part(1), part(2)])
    await store.write([part(3)])
    expect(await readAll()).toEqual([3, 2, 1])
    await store.close()
    await store.close()
    expect(await readAll()).toEqual([3, 2, 1])
  })

  it('lets go of what is too old and of what is too much', async () => {
    const store = new SqliteTraceStore(path, DAY_MS)
    await store.write([part(0), part(DAY_MS - 1)])
    await store.write([part(DAY_MS + 1)])
    expect(await readAll()).toEqual([DAY_MS + 1, DAY_MS - 1])
    const many = Array.from({ length: MAX_TRACE_PARTS + 10 }, () => part(DAY_MS + 2))
    await store.write(many)
    expect(await readAll()).toHaveLength(MAX_TRACE_PARTS)
    await store.close()
  })

  it('says that it is unavailable where the file is none', async () => {
    writeFileSync(path, 'this is no database, and long enough to be seen as none'.repeat(20))
    await expect(new SqliteTraceStore(path, DAY_MS).write([part(1)])).rejects.toThrow(StoreUnavailableError)
    await expect(readAll()).rejects.toThrow(StoreUnavailableError)
  })
})
