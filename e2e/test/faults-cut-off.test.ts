import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { Cluster, type ClusterNode } from '../src/cluster/cluster.ts'
import { loopbackAddress } from '../src/cluster/loopback-address.ts'
import { meetOnce, startDevices } from '../src/cluster/meet.ts'
import { OwnerWatch } from '../src/cluster/owner-watch.ts'
import { RedisLink } from '../src/cluster/redis-link.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { RedisView } from '../src/cluster/redis-view.ts'
import { eachOf } from '../src/site/pool.ts'
import { report } from '../src/site/report.ts'
import { waitUntil } from '../src/site/wait-until.ts'

jest.setTimeout(180_000)

const DEVICES = 45
const SERVED_WITHIN_MS = 45_000
const CUT_OFF_AGAIN_ALIVE_MS = 10_000

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`one ID server of three that alone is cut off from Redis${NO_REDIS ? ` (${NO_REDIS})` : ''}`, () => {
  let cluster: Cluster | undefined
  afterEach(() => cluster?.close())

  it.each([
    ['stalled', 'udp'],
    ['reset', 'udp'],
    ['stalled', 'connection'],
  ] as const)('leaves its devices to the others (%s, registered by %s)', async (how, registration) => {
    cluster = await Cluster.start({ address: 'shared', hbbs: 2, hbbr: 1 })
    const link = cluster.guest(await RedisLink.open(cluster.redis.port))
    const lonely = await cluster.add('hbbs', cluster.node('hbbs').ports, { REDIS_URL: link.url })
    await cluster.haveMet()
    const view = cluster.guest(await RedisView.open(cluster.redis.port))
    const devices = await startDevices(cluster, DEVICES, { registration })
    const ids = devices.map(({ id }) => id)
    const held = await heldBy(lonely, view, ids)
    const controller = cluster.controller(0, { localAddress: loopbackAddress(DEVICES) })
    const watch = cluster.guest(OwnerWatch.begin(view, ids))

    const cutMs = performance.now()
    link.cut(how)
    const notReadyMs = await waitUntil(
      'the node is not ready',
      async () => !(await lonely.says('readyz')) && performance.now() - cutMs,
      SERVED_WITHIN_MS,
    )
    expect(await lonely.says('livez')).toBe(true)
    const servedMs = await waitUntil(
      'the others serve all devices',
      async () => {
        const owners = await view.ownersByName(held)
        return held.every((id) => owners.has(id) && owners.get(id) !== lonely.name) && performance.now() - cutMs
      },
      SERVED_WITHIN_MS - notReadyMs,
    )
    await eachOf(held, 5, (id) => meetOnce(controller, id, 'relay'))
    await eachOf(held, 5, (id) => meetOnce(controller, id, 'direct'))

    const mendedMs = performance.now()
    link.mend()
    const readyMs = await waitUntil(
      'the node is ready again',
      async () => (await lonely.says('readyz')) && performance.now() - mendedMs,
      CUT_OFF_AGAIN_ALIVE_MS,
    )
    await eachOf(ids, 5, (id) => meetOnce(controller, id, 'direct'))
    expect(watch.stop()).toEqual([])
    report({
      devices: held.length,
      notReadyAfterSeconds: notReadyMs / 1000,
      servedAfterSeconds: servedMs / 1000,
      readyAgainAfterSeconds: readyMs / 1000,
    })
  })

  async function heldBy(node: ClusterNode, view: RedisView, ids: readonly string[]): Promise<string[]> {
    const owners = await waitUntil('Redis names an owner of each device', async () => {
      const owners = await view.ownersByName(ids)
      return owners.size === ids.length && owners
    })
    const held = ids.filter((id) => owners.get(id) === node.name)
    expect(held.length).toBeGreaterThan(0)
    return held
  }
})
