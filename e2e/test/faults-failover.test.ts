import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import { Cluster } from '../src/cluster/cluster.ts'
import { RedisView } from '../src/cluster/redis-view.ts'
import { RegistrationLoad } from '../src/cluster/registration-load.ts'
import { isFollowing, NO_SENTINEL, SentinelGroup } from '../src/cluster/sentinel-group.ts'
import { eachOf } from '../src/site/pool.ts'
import { report } from '../src/site/report.ts'
import { waitUntil } from '../src/site/wait-until.ts'

jest.setTimeout(180_000)

const { Result } = rendezvous.RegisterPkResponse
const REGISTRATIONS_PER_SECOND = 200
const ADDRESSES = 250
const BEFORE_MS = 5_000
const AFTER_MS = 10_000
const FAILOVER_WITHIN_MS = 30_000

const suite = NO_SENTINEL === undefined ? describe : describe.skip

suite(`a failover by Sentinels under registrations${NO_SENTINEL ? ` (${NO_SENTINEL})` : ''}`, () => {
  let sentinels: SentinelGroup
  let cluster: Cluster
  beforeAll(async () => {
    sentinels = await SentinelGroup.start()
    cluster = await Cluster.start({
      address: 'shared',
      hbbr: 0,
      redis: await sentinels.primary(),
      env: {
        REDIS_SENTINELS: sentinels.addresses,
        // A fleet that is rolled out.
        ...{ NEW_IDS_PER_MINUTE: '100000', NEW_IDS_PER_DAY: '100000', LOOKUPS_PER_MINUTE: '1000000' },
      },
    })
    await cluster.haveMet()
  })
  afterAll(async () => {
    await cluster?.close()
    await sentinels?.close()
  })

  it.each([
    ['killed', 'kill'],
    ['hangs and comes back as it was', 'freeze'],
  ] as const)('loses no acknowledged device and denies none its id when the primary %s', async (_, fault) => {
    const primary = await sentinels.primary()
    const load = cluster.guest(new RegistrationLoad(cluster, REGISTRATIONS_PER_SECOND, ADDRESSES))
    await pause(BEFORE_MS)

    const faultMs = performance.now()
    await primary[fault]()
    const promotedMs = await waitUntil(
      'a replica is the primary',
      async () => (await sentinels.primary()) !== primary && performance.now() - faultMs,
      FAILOVER_WITHIN_MS,
    )
    const acknowledged = load.acknowledged.size
    const acceptedMs = await waitUntil(
      'registrations are accepted again',
      () => load.acknowledged.size > acknowledged && performance.now() - faultMs,
      FAILOVER_WITHIN_MS,
    )
    await pause(AFTER_MS)
    if (fault === 'freeze') primary.thaw()
    else await primary.run()
    await waitUntil('the old primary follows the new one', () => isFollowing(primary), FAILOVER_WITHIN_MS)
    await load.stop(FAILOVER_WITHIN_MS)

    expect(load.mismatched).toEqual(new Set())
    const view = cluster.guest(await RedisView.open((await sentinels.primary()).port))
    const stored = await view.identities()
    for (const { identity } of load.devices) {
      if (!load.acknowledged.has(identity.id)) continue
      const { uuid, publicKey } = stored.get(identity.id) ?? {}
      expect([identity.id, uuid, publicKey]).toEqual([
        identity.id,
        Buffer.from(identity.uuid),
        Buffer.from(identity.publicKey),
      ])
    }
    // Each of them once more: none is told that its id is somebody else's.
    await eachOf(load.devices, 50, async (device) => {
      const { result } = await device.register()
      device.close()
      expect([device.id, result]).toEqual([device.id, Result.OK])
    })
    report({
      registrations: load.acknowledged.size,
      refusedMeanwhile: [...load.refusals.values()].reduce((sum, count) => sum + count, 0),
      promotedAfterSeconds: promotedMs / 1000,
      acceptedAfterSeconds: acceptedMs / 1000,
    })
  })

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }
})
