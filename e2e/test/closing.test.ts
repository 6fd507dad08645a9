import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, it, jest } from '@jest/globals'
import { Site } from '../src/site/site.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

let site: Site | undefined
afterEach(() => site?.close())

it('a process ends by itself when its devices and controllers are closed: they leave no handle', async () => {
  site = await Site.start()
  const script = resolve(import.meta.dirname, '../src/site/short-lived-peers.ts')
  const { host, port, key } = site.server
  // Killed, and so an error, when it does not end.
  const args = ['--disable-warning=ExperimentalWarning', script, host, `${port}`, `${key}`]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 })
  expect(stdout).toBe('closed\n')
})
