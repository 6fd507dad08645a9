import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from '@jest/globals'
import { makeFolder } from './make-folder.ts'

const work = mkdtempSync(join(tmpdir(), 'tryst-make-folder-'))
afterAll(() => rmSync(work, { recursive: true }))

it('makes what is missing, and leaves what is there', () => {
  const folder = join(work, 'a', 'b', 'c')
  makeFolder(folder)
  makeFolder(folder)
  expect(statSync(folder).isDirectory()).toBe(true)
})

it('fails where a file is in the way', () => {
  writeFileSync(join(work, 'file'), '')
  expect(() => makeFolder(join(work, 'file'))).toThrow(/EEXIST/)
  expect(() => makeFolder(join(work, 'file', 'below'))).toThrow(/ENOTDIR|EEXIST/)
})

const itOnLinux = process.platform === 'linux' ? it : it.skip
itOnLinux('fails where the system makes no folders (Linux: /proc)', () => {
  expect(() => makeFolder('/proc/tryst/data')).toThrow(/ENOENT/)
})
