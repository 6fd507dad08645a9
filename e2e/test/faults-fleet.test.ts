import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { Device } from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { RedisView } from '../src/cluster/redis-view.ts'
import { eachOf } from '../src/site/pool.ts'
import { report } from '../src/site/report.ts'
import { waitUntil } from '../src/site/wait-until.ts'

jest.setTimeout(120_000)

const DEVICES = 300
/** A company behind one address. */
const ADDRESS = '127.0.44.1'
const AT_ONCE = 20
const BACK_WITHIN_MS = 20_000
const OK = 0

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`300 known devices behind one address${NO_REDIS ? ` (${NO_REDIS})` : ''}`, () => {
  let cluster: Cluster
  let view: RedisView
  const devices: Device[] = []
  const results: number[] = []

  beforeAll(async () => {
    // New ids are limited by address; these are known when it matters.
    const env = { NEW_IDS_PER_MINUTE: '1000', NEW_IDS_PER_DAY: '1000' }
    cluster = await Cluster.start({ address: 'shared', hbbr: 0, env })
    view = cluster.guest(await RedisView.open(cluster.redis.port))
    await eachOf(Array.from({ length: DEVICES }), AT_ONCE, async () => {
      const device = new Device({ server: cluster.server(), natType: 'asymmetric', localAddress: ADDRESS })
      devices.push(cluster.guest(device))
      device.on('registerPkAnswered', (result) => results.push(result))
      await device.start()
      await device.online(30_000)
    })
  })
  afterAll(() => cluster?.close())

  it('are all with the other server within 20 s of the death of theirs, and none is refused', async () => {
    const [dead, other] = [cluster.node('hbbs', 0), cluster.node('hbbs', 1)]
    const ids = devices.map(({ id }) => id)
    const before = await waitUntil('Redis names an owner of each device', async () => {
      const owners = await view.ownersByName(ids)
      return owners.size === DEVICES && owners
    })
    const lost = ids.filter((id) => before.get(id) === dead.name)
    expect(lost.length).toBeGreaterThan(0)
    results.length = 0
    const killedMs = performance.now()
    await dead.kill()
    const worstMs = await waitUntil(
      'all devices are with the other server',
      async () => {
        const owners = await view.ownersByName(ids)
        return ids.every((id) => owners.get(id) === other.name) && performance.now() - killedMs
      },
      BACK_WITHIN_MS,
    )
    expect(results.length).toBeGreaterThanOrEqual(lost.length)
    expect(results.filter((result) => result !== OK)).toEqual([])
    report({ devicesOfDeadServer: lost.length, backAfterSeconds: worstMs / 1000 })
  })
})
