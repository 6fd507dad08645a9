import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { QuietDevice } from '../src/cluster/quiet-device.ts'
import { ANSWERED_WITHIN_MS, RECOVERED_WITHIN_MS, RedisOutage } from '../src/cluster/redis-outage.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { report } from '../src/site/report.ts'

jest.setTimeout(120_000)

const QUIET_DEVICES = 20

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`a Redis that is killed and started again${NO_REDIS ? ` (${NO_REDIS})` : ''}`, () => {
  let outage: RedisOutage
  beforeEach(async () => {
    outage = await RedisOutage.start()
  })
  afterEach(() => outage?.close())

  it.each([
    ['with its data', 'run'],
    ['empty', 'runEmpty'],
  ] as const)('%s is made up for within 10 s, with no device doing anything', async (_, restart) => {
    const { redis } = outage.cluster
    // These say nothing from here on: what Redis knows of them afterwards, the nodes have told it.
    const quiet: QuietDevice[] = []
    for (let i = 0; i < QUIET_DEVICES; i++) quiet.push(await outage.quietDevice())
    for (const device of quiet) expect(await device.register()).toMatchObject({ result: 0 })
    const everybody = [...outage.ids, ...quiet.map(({ id }) => id)]
    await outage.isKnownToRedis(everybody)
    const before = await outage.view((view) => view.identities())
    const serverKey = await outage.view((view) => view.serverKey())

    await redis.kill()
    await Promise.all([outage.refuseNewDevice(), outage.refuseNewDevice(), outage.refuseNewDevice()])
    await outage.everybodySays('livez')
    await outage.meetEverybody()
    await outage.refuseNewDevice()

    await redis[restart]()
    const [acceptedMs, knownMs] = await Promise.all([outage.newDeviceIsAccepted(), outage.isKnownToRedis(everybody)])
    expect(Math.max(acceptedMs, knownMs)).toBeLessThanOrEqual(RECOVERED_WITHIN_MS)
    const after = await outage.view((view) => view.identities())
    for (const [id, identity] of before) expect([id, after.get(id)]).toEqual([id, identity])
    expect(await outage.view((view) => view.serverKey())).toBe(serverKey)
    await outage.meetEverybody()
    await outage.everybodySays('readyz')
    expect(await outage.refusedButStored()).toEqual([])
    expect(outage.slowestAnswerMs).toBeLessThan(ANSWERED_WITHIN_MS)
    report({
      slowestRefusalMs: outage.slowestAnswerMs,
      newDeviceAcceptedAfterSeconds: acceptedMs / 1000,
      devicesInRedisAfterSeconds: knownMs / 1000,
      longestRoundTripMs: await outage.stopPulses(),
    })
  })
})
