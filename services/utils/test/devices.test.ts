import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import { startTestRedis, type TestRedis, whyNoRedis } from '../../../packages/state-redis/test/redis-fixture.ts'
import { runUtils } from '../src/utils.ts'
import { RunningServer, UdpDevice } from './running-server.ts'

const { OK, NOT_DEPLOYED } = rendezvous.RegisterPkResponse.Result
/**
 * A second, and some more for a machine that tests other things at the same time. Nothing is waited for: it holds when
 * the command has ended.
 */
const WITHIN_MS = 5_000

let work: string
const servers: RunningServer[] = []
const devices: UdpDevice[] = []

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'tryst-devices-'))
})

afterEach(async () => {
  for (const device of devices.splice(0)) device.close()
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  rmSync(work, { recursive: true, force: true })
})

async function start(name: string, env: Readonly<Record<string, string>>): Promise<RunningServer> {
  const server = await RunningServer.start(join(work, name), env)
  servers.push(server)
  return server
}

function deviceOf(id: string, value = 1, localAddress?: string): UdpDevice {
  const device = new UdpDevice(id, value, localAddress)
  devices.push(device)
  return device
}

async function run(cwd: string, words: string, env: Readonly<Record<string, string>> = {}) {
  let printed = ''
  const print = (text: string) => {
    printed += text
  }
  const { output, status } = await runUtils({ name: 'tryst', argv: words.split(' '), version: '1', env, cwd, print })
  return { status, text: printed + output }
}

const json = async (cwd: string, words: string, env: Readonly<Record<string, string>> = {}) =>
  JSON.parse((await run(cwd, `${words} --json`, env)).text)

describe('devices of a server with a database', () => {
  it('wait, are approved, noted, refused and removed while it runs, each within a second', async () => {
    const server = await start('data', { ACCESS_MODE: 'approve' })
    const { folder } = server
    expect(statSync(join(folder, 'admin.sock')).mode & 0o777).toBe(0o600)
    const laptop = deviceOf('123456789')
    expect(await laptop.register(server)).toBe(NOT_DEPLOYED)
    expect(await json(folder, 'devices list --state pending')).toMatchObject([
      { id: '123456789', state: 'pending', ip: '127.0.0.1', why: 'new-device' },
    ])
    expect((await run(folder, 'devices list')).text).toMatch(/^ID +STATE .*\n123456789 +pending .*127\.0\.0\.1/)

    const approvedMs = performance.now()
    expect(await run(folder, 'devices approve 123456789')).toMatchObject({ status: 0 })
    expect(await laptop.register(server)).toBe(OK)
    expect(performance.now() - approvedMs).toBeLessThan(WITHIN_MS)
    expect(await run(folder, 'devices note 123456789 kitchen')).toMatchObject({ status: 0 })
    expect(await json(folder, 'devices list')).toMatchObject([
      { id: '123456789', state: 'known', online: true, note: 'kitchen' },
    ])
    expect(await laptop.heartbeat(server)).toBe(false)

    const removedMs = performance.now()
    expect(await run(folder, 'devices remove 123456789')).toEqual({ status: 0, text: '123456789 is removed\n' })
    expect(await server.isOnline('123456789')).toBe(false)
    expect(await laptop.heartbeat(server)).toBe(true)
    expect(performance.now() - removedMs).toBeLessThan(WITHIN_MS)
    expect(await laptop.register(server)).toBe(NOT_DEPLOYED)
    expect(await run(folder, 'devices refuse 123456789')).toMatchObject({ status: 0 })
    expect(await laptop.register(server)).toBe(NOT_DEPLOYED)
    expect(await json(folder, 'devices list')).toMatchObject([{ id: '123456789', state: 'refused' }])
  })

  it('are invited and renamed while it runs', async () => {
    const server = await start('data', { ACCESS_MODE: 'invite' })
    const { folder } = server
    const laptop = deviceOf('123456789')
    expect(await laptop.register(server)).toBe(NOT_DEPLOYED)
    expect(await json(folder, 'devices list')).toEqual([])
    expect(await run(folder, 'devices invite 123456789')).toMatchObject({ status: 0 })
    expect(await laptop.register(server)).toBe(OK)
    expect(await run(folder, 'devices rename 123456789 reception')).toMatchObject({ status: 0 })
    expect(await server.isOnline('123456789')).toBe(false)
    laptop.id = 'reception'
    expect(await laptop.register(server)).toBe(OK)
    expect(await json(folder, 'devices list')).toMatchObject([{ id: 'reception', state: 'known', online: true }])
  })

  it('get a new key from elsewhere only when it is approved, in every mode', async () => {
    const server = await start('data', {})
    const { folder } = server
    const laptop = deviceOf('123456789')
    expect(await laptop.register(server)).toBe(OK)
    const anew = deviceOf('123456789', 1, '127.0.0.2')
    anew.publicKey = new Uint8Array(32).fill(9)
    expect(await anew.register(server)).toBe(NOT_DEPLOYED)
    const [waiting] = await json(folder, 'devices list --state pending')
    expect(waiting).toMatchObject({ id: '123456789', why: 'key-changed', ip: '127.0.0.2' })
    expect((await run(folder, 'devices list')).text).toContain('(new key)')
    expect(await laptop.heartbeat(server)).toBe(false)
    const words = `devices approve 123456789 --fingerprint ${waiting.uuid.slice(0, 12)}`
    expect(await run(folder, words)).toMatchObject({ status: 0 })
    expect(await anew.register(server)).toBe(OK)
    expect(await json(folder, 'devices list')).toMatchObject([{ state: 'known', ip: '127.0.0.2' }])
  })

  it('are found in the database where no server runs, and the server finds what was said then', async () => {
    const server = await start('data', { ACCESS_MODE: 'approve' })
    const { folder } = server
    const laptop = deviceOf('123456789')
    await laptop.register(server)
    await server.stop()
    expect(existsSync(join(folder, 'admin.sock'))).toBe(false)
    expect(await run(folder, 'devices approve 123456789')).toMatchObject({ status: 0 })
    expect(await run(folder, 'devices invite reception --note door')).toMatchObject({ status: 0 })
    const again = await start('data', { ACCESS_MODE: 'approve' })
    expect(await laptop.register(again)).toBe(OK)
    expect(await deviceOf('reception', 2).register(again)).toBe(OK)
  })

  it('are asked of the server that follows one that was killed', async () => {
    const server = await start('data', { ACCESS_MODE: 'invite' })
    await server.stop('SIGKILL')
    expect(existsSync(join(server.folder, 'admin.sock'))).toBe(true)
    expect(await run(server.folder, 'devices invite reception')).toMatchObject({ status: 0 })
    const next = await start('data', { ACCESS_MODE: 'invite' })
    expect(await run(next.folder, 'devices invite 123456789')).toMatchObject({ status: 0 })
    expect(next.log).toContain('operator: device invited')
    expect(await deviceOf('reception').register(next)).toBe(OK)
  })

  it('are not there where nothing is, which is said with a remedy', async () => {
    expect(await run(work, 'devices list')).toEqual({ status: 1, text: expect.stringMatching(/^ERROR: .*--folder/) })
    const server = await start('data', {})
    expect(await run(server.folder, 'devices approve 123456789')).toMatchObject({
      status: 1,
      text: expect.stringMatching(/^ERROR: no device waits under the id 123456789/),
    })
    // As beside the folder of npm start.
    expect(await json(work, 'devices list')).toEqual([])
  })

  it('tell of tokens without the tokens', async () => {
    const { folder } = await start('data', { ACCESS_MODE: 'invite' })
    const { token } = await json(folder, 'deploy-token create roll-out --uses 2 --expires 7d')
    expect(token).toMatch(/^tryst_/)
    const listed = await run(folder, 'deploy-token list --json')
    expect(listed.text).not.toContain(token)
    expect(JSON.parse(listed.text)).toMatchObject([{ name: 'roll-out', usesLeft: 2, used: 0 }])
    expect(await run(folder, 'deploy-token create roll-out')).toMatchObject({ status: 1 })
    expect(await run(folder, 'deploy-token create other --expires soon')).toMatchObject({
      status: 1,
      text: expect.stringContaining('write 30m, 12h, 7d or 4w'),
    })
    expect(await run(folder, 'deploy-token revoke roll-out')).toMatchObject({ status: 0 })
    expect(await run(folder, 'deploy-token revoke roll-out')).toMatchObject({ status: 1 })
  })
})

const [suite, name] =
  whyNoRedis === undefined
    ? [describe, 'devices of two servers with one Redis']
    : [describe.skip, `devices of two servers with one Redis (skipped: ${whyNoRedis})`]

suite(name, () => {
  let redis: TestRedis
  let env: Readonly<Record<string, string>>

  beforeAll(async () => {
    redis = await startTestRedis()
  })
  afterAll(() => redis.stop())

  beforeEach(() => {
    const { prefix } = redis.settings()
    env = { REDIS_URL: redis.url, REDIS_PREFIX: prefix, ACCESS_MODE: 'approve' }
  })

  async function startTwo() {
    await run(work, 'genkeypair keys')
    for (const name of ['one', 'two', 'operator']) {
      mkdirSync(join(work, name))
      for (const file of ['id_ed25519', 'id_ed25519.pub'])
        copyFileSync(join(work, 'keys', file), join(work, name, file))
    }
    const started = await Promise.all(['one', 'two'].map((name) => start(name, { ...env, NODE_ID: name })))
    return started as [RunningServer, RunningServer]
  }

  it.each([
    ['by way of another server', 'two'],
    ['without any of them', 'operator'],
  ])('are approved and removed %s within a second', async (_, from) => {
    const [one, two] = await startTwo()
    const folder = join(work, from)
    const laptop = deviceOf('123456789')
    expect(await laptop.register(one)).toBe(NOT_DEPLOYED)
    expect(await json(folder, 'devices list', env)).toMatchObject([{ id: '123456789', state: 'pending' }])
    expect(await run(folder, 'devices approve 123456789', env)).toMatchObject({ status: 0 })
    expect(await laptop.register(one)).toBe(OK)
    expect(await two.isOnline('123456789')).toBe(true)
    expect(await json(folder, 'devices list', env)).toMatchObject([{ state: 'known', online: true }])

    const removedMs = performance.now()
    expect(await run(folder, 'devices remove 123456789', env)).toEqual({ status: 0, text: '123456789 is removed\n' })
    expect(await laptop.heartbeat(one)).toBe(true)
    expect(await two.isOnline('123456789')).toBe(false)
    expect(performance.now() - removedMs).toBeLessThan(WITHIN_MS)
    expect(await laptop.register(one)).toBe(NOT_DEPLOYED)
    expect(await laptop.register(two)).toBe(NOT_DEPLOYED)
  })

  it('are removed also where the key of the servers is missing, which is said', async () => {
    const [one, two] = await startTwo()
    const folder = join(work, 'elsewhere')
    mkdirSync(folder)
    await run(folder, 'devices invite 123456789', env)
    const laptop = deviceOf('123456789')
    expect(await laptop.register(one)).toBe(OK)
    expect(await run(folder, 'devices remove 123456789', env)).toEqual({
      status: 2,
      text: expect.stringMatching(/is removed\nWARNING: not every server could be told/),
    })
    expect(await laptop.register(two)).toBe(NOT_DEPLOYED)
  })
})
