import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createDeviceIdentity, Device } from '@tryst/client'
import { readPeers } from '@tryst/state-sqlite'
import { freePorts } from '../../../e2e/src/site/free-ports.ts'
import { startTestRedis, type TestRedis, whyNoRedis } from '../../../packages/state-redis/test/redis-fixture.ts'
import { until } from '../../../packages/state-redis/test/until.ts'
import { runUtils } from '../src/utils.ts'
import { makeFolder, row } from './source-folder.ts'

const [suite, name] =
  whyNoRedis === undefined
    ? [describe, 'an exported folder']
    : [describe.skip, `an exported folder (skipped: ${whyNoRedis})`]

suite(name, () => {
  let redis: TestRedis
  let work: string
  let hbbs: ChildProcess | undefined
  const devices: Device[] = []

  beforeEach(async () => {
    redis = await startTestRedis()
    work = mkdtempSync(join(tmpdir(), 'tryst-exported-'))
  })

  afterEach(async () => {
    for (const device of devices.splice(0)) await device.close()
    if (hbbs) {
      const ended = once(hbbs, 'exit')
      hbbs.kill()
      await ended
    }
    await redis.stop()
    rmSync(work, { recursive: true, force: true })
  })

  it('is one in which hbbs starts and knows its devices again', async () => {
    const identity = createDeviceIdentity({ id: '123456789' })
    const stored = { ...row('123456789'), uuid: identity.uuid, publicKey: identity.publicKey, ip: '127.0.0.1' }
    const publicKey = await makeFolder(join(work, 'source'), [stored, row('987654321')])
    for (const file of ['id_ed25519', 'id_ed25519.pub'])
      writeFileSync(join(work, file), readFileSync(join(work, 'source', file)))
    const { prefix } = redis.settings()
    for (const words of [
      ['import', 'source'],
      ['export', 'target'],
    ]) {
      const env = { REDIS_URL: redis.url, REDIS_PREFIX: prefix }
      const input = { name: 'tryst', argv: words, version: '1.2.3', env, cwd: work, print: () => {} }
      expect(await runUtils(input)).toMatchObject({ status: 0 })
    }
    const before = readPeers(join(work, 'target', 'db_v2.sqlite3')).peers

    const { main: port } = await freePorts()
    hbbs = spawn(
      fileURLToPath(new URL('../../hbbs/bin/hbbs', import.meta.url)),
      ['-p', String(port), '-b', '127.0.0.1', '-r', '127.0.0.1:21117'],
      {
        cwd: join(work, 'target'),
        env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, LOG_FORMAT: 'json' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let log = ''
    hbbs.stdout?.on('data', (chunk) => {
      log += chunk
    })
    await until(() => log.includes('"listening"'), 'hbbs listens')
    expect(log).toContain(`Key: ${publicKey}`)
    expect(log).toContain('"devices":2')

    const server = { host: '127.0.0.1', port, key: publicKey }
    const device = new Device({ server, identity, natType: 'asymmetric' })
    devices.push(device)
    const idChanges: string[] = []
    device.on('idChanged', (id) => idChanges.push(id))
    await (await device.start()).online()
    expect(idChanges).toEqual([])
    expect(readPeers(join(work, 'target', 'db_v2.sqlite3')).peers).toEqual(before)

    // Another device with that id is told so: the exported uuid counts.
    const stranger = new Device({ server, identity: createDeviceIdentity({ id: '123456789' }), natType: 'asymmetric' })
    devices.push(stranger)
    stranger.on('idChanged', (id) => idChanges.push(id))
    await stranger.start()
    await until(() => idChanges.length === 1, 'the stranger draws another id')
  })
})
