import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-keys-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('programs that start at the same time', () => {
  const children: ChildProcess[] = []
  afterEach(() => {
    for (const child of children.splice(0)) child.kill()
  })

  /** A program that loads the pair as soon as it is told to. */
  async function program() {
    const service = new URL('../dist/index.js', import.meta.url).href
    const script = `
      const { loadKeyPair } = await import(${JSON.stringify(service)})
      process.once('message', async (folder) => {
        const { expectedKey, source } = await loadKeyPair({ key: '-', use: 'sign', folder })
        process.send({ expectedKey, source })
      })
      process.send('ready')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    children.push(child)
    await once(child, 'message')
    return async (): Promise<{ expectedKey: string; source: string }> => {
      const answer = once(child, 'message')
      child.send(folder)
      return (await answer)[0]
    }
  }

  it('end with one pair, which exactly one of them has made', async () => {
    for (let round = 0; round < 5; round++) {
      const programs = await Promise.all([program(), program(), program()])
      const pairs = await Promise.all(programs.map((start) => start()))
      expect(new Set(pairs.map(({ expectedKey }) => expectedKey)).size).toBe(1)
      expect(pairs.filter(({ source }) => source === 'made files')).toHaveLength(1)
      expect(readFileSync(join(folder, 'id_ed25519.pub'), 'utf8')).toBe(pairs[0]?.expectedKey)
      expect(readdirSync(folder).sort()).toEqual(['id_ed25519', 'id_ed25519.pub'])
      for (const name of readdirSync(folder)) rmSync(join(folder, name))
    }
  }, 30_000)
})
