import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { RedisConnection, RedisIdentityStore, readServerKey } from '@tryst/state-redis'
import { readPeers } from '@tryst/state-sqlite'
import fc from 'fast-check'
import { startTestRedis, type TestRedis, whyNoRedis } from '../../../packages/state-redis/test/redis-fixture.ts'
import { until } from '../../../packages/state-redis/test/until.ts'
import { runUtils } from '../src/utils.ts'
import { fleet, makeFolder, row } from './source-folder.ts'

const [suite, name] =
  whyNoRedis === undefined
    ? [describe, 'import and export']
    : [describe.skip, `import and export (skipped: ${whyNoRedis})`]

suite(name, () => {
  let redis: TestRedis
  let settings: ReturnType<TestRedis['settings']>
  let connection: RedisConnection
  let work: string
  let source: string

  beforeAll(async () => {
    redis = await startTestRedis()
  })

  afterAll(() => redis.stop())

  beforeEach(async () => {
    settings = redis.settings()
    connection = await RedisConnection.open(settings, { epoch: 'leave' })
    work = mkdtempSync(join(tmpdir(), 'tryst-utils-'))
    source = join(work, 'source')
  })

  afterEach(() => {
    connection.close()
    rmSync(work, { recursive: true, force: true })
  })

  const environment = () => ({ REDIS_URL: redis.url, REDIS_PREFIX: settings.prefix })

  async function run(...argv: string[]) {
    let printed = ''
    const print = (text: string) => {
      printed += text
    }
    const input = { name: 'rustdesk-utils', argv, version: '1.2.3', env: environment(), cwd: work, print }
    const { output, status } = await runUtils(input)
    return { status, text: printed + output }
  }

  const children = new Set<ChildProcess>()
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL')
    children.clear()
  })

  function start(...argv: string[]) {
    const child = spawn(fileURLToPath(new URL('../bin/rustdesk-utils', import.meta.url)), argv, {
      cwd: work,
      env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, ...environment() },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.add(child)
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    return { child, ended: once(child, 'close').then(([status]) => ({ status, text })) }
  }

  async function keys(): Promise<string[]> {
    const found: string[] = []
    for (const lane of connection.primaries) {
      const [reply] = await lane.send([{ name: 'KEYS', args: [`${settings.prefix}*`] }])
      found.push(...(reply as unknown as string[]))
    }
    return found
  }

  /** Texts are compared a hundred times faster than bytes. */
  const rowsIn = (folder: string) =>
    readPeers(join(work, folder, 'db_v2.sqlite3')).peers.map(({ guid, uuid, publicKey, ...rest }) =>
      JSON.stringify({ ...rest, bytes: [guid, uuid, publicKey].map((bytes) => Buffer.from(bytes).toString('hex')) }),
    )

  it('bring 5,000 devices there and back in less than 10 s each, as they were', async () => {
    const publicKey = await makeFolder(source, fleet(5_000))
    const startedMs = performance.now()
    const imported = await run('import', 'source')
    expect(imported).toEqual({
      status: 0,
      text: expect.stringMatching(/^5000 devices in \S+source\/db_v2.sqlite3\n5000 created, 0 there already\n$/),
    })
    const importedMs = performance.now()
    expect(await readServerKey(connection)).toBe(publicKey)
    const exported = await run('export', 'target')
    expect(exported).toMatchObject({ status: 0, text: expect.stringMatching(/^5000 devices in \S+target\/db_v2/) })
    expect(importedMs - startedMs).toBeLessThan(10_000)
    expect(performance.now() - importedMs).toBeLessThan(10_000)
    expect(rowsIn('target')).toEqual(rowsIn('source'))
  })

  it('are the identity together, whatever the devices are', async () => {
    const peer = fc.record({
      id: fc.string({ unit: 'binary', minLength: 6, maxLength: 25 }),
      guid: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      uuid: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      ip: fc.oneof(fc.ipV4(), fc.constant(''), fc.constant('2001:db8::1')),
      createdMs: fc.integer({ min: 1, max: 2_000_000_000 }).map((seconds) => seconds * 1_000),
    })
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    const peers = fc
      .uniqueArray(peer, { maxLength: 12, selector: ({ id }) => id })
      .map((list) => [...new Map(list.map((each) => [hex(each.guid), each])).values()])
    let runs = 0
    await fc.assert(
      fc.asyncProperty(peers, async (rows) => {
        const number = ++runs
        const prefix = ['--redis-prefix', `${settings.prefix}${number}:`]
        await makeFolder(join(work, `source-${number}`), rows)
        expect(await run('import', `source-${number}`, ...prefix)).toMatchObject({ status: 0 })
        expect(await run('export', `target-${number}`, ...prefix)).toMatchObject({ status: 0 })
        expect(rowsIn(`target-${number}`)).toEqual(rowsIn(`source-${number}`))
      }),
      { numRuns: 15 },
    )
  })

  it('write nothing in a dry run, and report the same', async () => {
    await makeFolder(source, fleet(20))
    const dry = await run('import', 'source', '--dry-run')
    expect(dry).toMatchObject({
      status: 0,
      text: expect.stringContaining('20 to be created, 0 there already; nothing'),
    })
    expect(await keys()).toEqual([])
  })

  it('leave a device that Redis has with another key or uuid, show both, and replace it when told to', async () => {
    await makeFolder(source, fleet(3))
    const store = await RedisIdentityStore.open(connection, { maxDevices: 100 })
    const { uuid, publicKey } = row('100000001', 1)
    await store.create({ id: '100000001' as PeerId, uuid, publicKey, ip: '198.51.100.4' })
    const shown =
      /conflict: "100000001"\n {2}in the folder: 203.0.113.9, uuid \w{16}... \(36 bytes\), key \w+... \(32 bytes\)\n {2}in Redis: {6}198.51.100.4, uuid/
    for (const mode of [['--dry-run'], []]) {
      const { status, text } = await run('import', 'source', ...mode)
      expect(status).toBe(2)
      expect(text).toMatch(shown)
      expect(text).toMatch(/2 (to be )?created, 0 there already, 1 in conflict/)
      expect(text).toContain('--replace ID')
    }
    expect(await store.find('100000001' as PeerId)).toMatchObject({ publicKey, ip: '198.51.100.4' })

    const dry = await run('import', 'source', '--replace', '100000001', '--dry-run')
    expect(dry).toMatchObject({ status: 0, text: expect.stringContaining('1 to be replaced; nothing was written') })
    const replaced = await run('import', 'source', '--replace', '100000001')
    expect(replaced.text).toMatch(/to be replaced: "100000001"\n.*\n.*\n0 created, 2 there already, 1 replaced\n$/)
    expect(replaced.status).toBe(0)
    const wanted = row('100000001')
    expect(await store.find('100000001' as PeerId)).toMatchObject({
      uuid: wanted.uuid,
      publicKey: wanted.publicKey,
      standing: 'certain',
    })
    expect(await run('import', 'source', '--replace', '100000001')).toMatchObject({
      status: 0,
      text: expect.stringContaining('0 created, 3 there already'),
    })
    await store.close()
  })

  it('refuse to replace what the folder does not have, before anything is written', async () => {
    await makeFolder(source, fleet(3))
    expect(await run('import', 'source', '--replace', '999999999')).toEqual({
      status: 1,
      text: expect.stringMatching(/^ERROR: --replace 999999999: .* has no such device/),
    })
    expect(await keys()).toEqual([])
  })

  it('refuse devices of a server with another key, and name both keys', async () => {
    const first = await makeFolder(source, fleet(1))
    const second = await makeFolder(join(work, 'other'), fleet(2))
    expect(await run('import', 'source')).toMatchObject({ status: 0 })
    const { status, text } = await run('import', 'other')
    expect(status).toBe(1)
    expect(text).toContain(first)
    expect(text).toContain(second)
    expect(text).toContain('nothing was written')
    expect((await keys()).filter((key) => key.includes(':peer:'))).toHaveLength(1)
  })

  it('write nothing of a database that is not whole', async () => {
    await makeFolder(source, fleet(3_000))
    const path = join(source, 'db_v2.sqlite3')
    const bytes = readFileSync(path)
    bytes.fill(0x55, 8_192, 40_960)
    writeFileSync(path, bytes)
    expect(await run('import', 'source')).toEqual({ status: 1, text: expect.stringMatching(/^ERROR: .*damaged/) })
    expect(await keys()).toEqual([])
  })

  it('list what cannot be served, with what to do, and bring the rest', async () => {
    await makeFolder(source, fleet(3))
    const db = new DatabaseSync(join(source, 'db_v2.sqlite3'))
    db.exec("UPDATE peer SET pk = '' WHERE id = '100000000'; UPDATE peer SET created_at = '' WHERE id = '100000001'")
    db.close()
    const { status, text } = await run('import', 'source')
    expect(status).toBe(2)
    expect(text).toContain('left out: "100000000": its key is empty; the device registers anew')
    expect(text).toContain('1 devices have no readable time of creation')
    expect(text).toMatch(/2 created, 0 there already, 1 left out\n$/)
  })

  it('find the database as the server in the folder does, or by its own name', async () => {
    await makeFolder(source, fleet(3))
    const sql = new DatabaseSync(join(source, 'db_v2.sqlite3'))
    sql.exec(`VACUUM INTO '${join(source, 'devices.sqlite3')}'`)
    sql.close()
    rmSync(join(source, 'db_v2.sqlite3'))
    writeFileSync(join(source, '.env'), 'DB_URL=sqlite://./devices.sqlite3\n')
    for (const path of ['source', 'source/devices.sqlite3'])
      expect(await run('import', path, '--dry-run')).toMatchObject({ status: 0, text: expect.stringMatching(/^3 dev/) })
  })

  it('may run in two processes at once', async () => {
    await makeFolder(source, fleet(5_000))
    const ends = await Promise.all([start('import', 'source').ended, start('import', 'source').ended])
    const created = ends.map(({ status, text }) => {
      expect(status).toBe(0)
      const [, made, there] = /(\d+) created, (\d+) there already\n$/.exec(text) ?? []
      expect(Number(made) + Number(there)).toBe(5_000)
      return Number(made)
    })
    // What is sent again, since its answer came late, is there already.
    expect((created[0] ?? 0) + (created[1] ?? 0)).toBeLessThanOrEqual(5_000)
    expect(await run('export', 'target')).toMatchObject({ status: 0 })
    expect(rowsIn('target')).toEqual(rowsIn('source'))
  })

  it('may run again after it was killed', async () => {
    await makeFolder(source, fleet(8_000))
    const { child, ended } = start('import', 'source')
    await until(async () => (await keys()).length > 500, 'five hundred devices are there')
    child.kill('SIGKILL')
    await ended
    const begun = (await keys()).filter((key) => key.includes(':peer:')).length
    expect(begun).toBeLessThan(8_000)
    const { status, text } = await run('import', 'source')
    expect(status).toBe(0)
    const [, created, there] = /(\d+) created, (\d+) there already\n$/.exec(text) ?? []
    expect(Number(created) + Number(there)).toBe(8_000)
    expect(Number(there)).toBeGreaterThanOrEqual(begun)
    expect(await run('export', 'target')).toMatchObject({ status: 0 })
    expect(rowsIn('target')).toEqual(rowsIn('source'))
  })

  it('may run while devices register, and each id belongs to one of the two', async () => {
    const rows = fleet(5_000)
    await makeFolder(source, rows)
    const store = await RedisIdentityStore.open(connection, { maxDevices: 10_000 })
    const { ended } = start('import', 'source')
    // Half of them new, half of them with ids of the folder, of which every second one comes with another uuid.
    const devices = Array.from({ length: 500 }, (_, index) =>
      index < 250 ? row(`new-${index}`) : row(String(100_000_000 + index * 10), index % 2),
    )
    const winners = new Map<string, Uint8Array>()
    for (let from = 0; from < devices.length; from += 5) {
      const registered = devices.slice(from, from + 5).map(async ({ id, uuid, publicKey, ip }) => {
        const { identity } = await store.create({ id: id as PeerId, uuid, publicKey, ip })
        winners.set(id, identity.uuid)
      })
      await Promise.all(registered)
    }
    const { status, text } = await ended
    const [, created, there, , conflicts = '0'] =
      /(\d+) created, (\d+) there already(, (\d+) in conflict)?/.exec(text) ?? []
    expect(Number(created) + Number(there) + Number(conflicts)).toBe(5_000)
    expect(status).toBe(Number(conflicts) > 0 ? 2 : 0)
    expect(text.match(/^conflict: /gm)?.length ?? 0).toBe(Number(conflicts))
    for (const [id, uuid] of winners) expect((await store.find(id as PeerId))?.uuid).toEqual(uuid)
    expect(await run('export', 'target')).toMatchObject({ text: expect.stringMatching(/^5250 devices/) })
    await store.close()
  })

  it('never write over a database, and leave nothing behind', async () => {
    await makeFolder(source, fleet(3))
    await run('import', 'source')
    expect(await run('export', 'source')).toEqual({
      status: 1,
      text: expect.stringMatching(/^ERROR: .*db_v2.sqlite3 is there already; name a new folder/),
    })
    expect(await run('export', 'target')).toMatchObject({ status: 0 })
    expect(readdirSync(work).sort()).toEqual(['source', 'target'])
    expect(readdirSync(join(work, 'target'))).toEqual(['db_v2.sqlite3'])
  })

  it('take the key pair of the working directory along where it is that of the servers, else name the right one', async () => {
    const publicKey = await makeFolder(source, fleet(3))
    await run('import', 'source')
    const without = await run('export', 'without')
    expect(without.text).toContain(publicKey)
    expect(without.text).toContain('before a server starts there')
    for (const file of ['id_ed25519', 'id_ed25519.pub'])
      writeFileSync(join(work, file), readFileSync(join(source, file)))
    expect(await run('export', 'with')).toMatchObject({ status: 0, text: expect.stringContaining('are copies') })
    expect(readdirSync(join(work, 'with')).sort()).toEqual(['db_v2.sqlite3', 'id_ed25519', 'id_ed25519.pub'])
    expect(readFileSync(join(work, 'with', 'id_ed25519'))).toEqual(readFileSync(join(source, 'id_ed25519')))
  })

  it('say what is missing where no Redis is named', async () => {
    await makeFolder(source, fleet(1))
    for (const words of [
      ['import', 'source'],
      ['export', 'target'],
    ]) {
      const input = { name: 'tryst', argv: words, version: '1.2.3', env: {}, cwd: work, print: () => {} }
      expect(await runUtils(input)).toEqual({
        status: 1,
        output: expect.stringMatching(/^ERROR: no setting says where Redis is: give --redis-url .*REDIS_URL/),
      })
    }
  })
})
