import {
  chmodSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import type { Administration } from '@tryst/device-admin'
import type { Logger } from '@tryst/service'
import { AdminSocket } from './admin-socket.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-admin-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function open(path: string) {
  const said: string[] = []
  const say = (_: unknown, text: string) => said.push(text)
  const log = { info: say, warn: say, error: say } as unknown as Logger
  const socket = await AdminSocket.open({ path, administration: {} as Administration, log })
  return { socket, said }
}

/** As a server leaves it that was killed. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const kept = join(folder, 'kept')
  // Closing removes the name that it was opened under.
  linkSync(path, kept)
  await new Promise((resolve) => server.close(resolve))
  renameSync(kept, path)
}

it('replaces what a server has left, and only its owner may open it', async () => {
  const path = join(folder, 'admin.sock')
  await leaveSocket(path)
  chmodSync(path, 0o777)
  const { socket, said } = await open(path)
  expect([socket !== undefined, said]).toEqual([true, []])
  expect(statSync(path).mode & 0o777).toBe(0o600)
  await socket?.close()
  expect(existsSync(path)).toBe(false)
})

it('leaves a file alone that is no socket, and says so', async () => {
  const path = join(folder, 'db_v2.sqlite3')
  writeFileSync(path, 'devices')
  const { socket, said } = await open(path)
  expect(socket).toBeUndefined()
  expect(said).toEqual(['no admin socket: operators reach this server only through its state'])
  expect(readFileSync(path, 'utf8')).toBe('devices')
})

it('leaves the socket to a server that answers there', async () => {
  const path = join(folder, 'admin.sock')
  const first = await open(path)
  const second = await open(path)
  expect([second.socket, second.said]).toEqual([undefined, ['another server answers at the admin socket']])
  await first.socket?.close()
})
