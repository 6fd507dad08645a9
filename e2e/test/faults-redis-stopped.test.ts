import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { ANSWERED_WITHIN_MS, RECOVERED_WITHIN_MS, RedisOutage } from '../src/cluster/redis-outage.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { report } from '../src/site/report.ts'

jest.setTimeout(180_000)

const STOPPED_MS = 60_000
const ROUND_MS = 10_000

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`a Redis that is stopped for 60 s${NO_REDIS ? ` (${NO_REDIS})` : ''}`, () => {
  let outage: RedisOutage
  beforeAll(async () => {
    outage = await RedisOutage.start()
  })
  afterAll(() => outage?.close())

  it('is done without, and made up for within 10 s of its return', async () => {
    const { redis } = outage.cluster
    const mover = await outage.quietDevice()
    expect(await mover.register()).toMatchObject({ result: 0 })

    const stoppedMs = performance.now()
    redis.freeze()
    for (let round = 0; performance.now() - stoppedMs < STOPPED_MS - ROUND_MS; round++) {
      const nextRound = new Promise((resolve) => setTimeout(resolve, ROUND_MS))
      await Promise.all([outage.refuseNewDevice(), outage.refuseNewDevice(), outage.refuseNewDevice()])
      await outage.everybodySays('livez')
      // The first at once, when nobody has noticed yet.
      if (round % 2 === 0) await outage.meetEverybody()
      await outage.refuseNewDevice()
      await nextRound
    }
    await outage.everybodySays('readyz')
    await outage.meetEverybody()
    // A device that is known and only has another address.
    const moved = await outage.quietDevice(mover.identity)
    expect(await moved.register()).toMatchObject({ result: 0 })
    const leftMs = STOPPED_MS - (performance.now() - stoppedMs)
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, leftMs)))

    redis.thaw()
    const [acceptedMs, knownMs] = await Promise.all([
      outage.newDeviceIsAccepted(),
      outage.isKnownToRedis([...outage.ids, moved.id]),
    ])
    expect(Math.max(acceptedMs, knownMs)).toBeLessThanOrEqual(RECOVERED_WITHIN_MS)
    await outage.meetEverybody()
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
