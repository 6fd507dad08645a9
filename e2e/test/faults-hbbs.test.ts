import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { Controller, Device } from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { loopbackAddress } from '../src/cluster/loopback-address.ts'
import { meetOnce, startDevices, startPulse } from '../src/cluster/meet.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { RedisView } from '../src/cluster/redis-view.ts'
import { eachOf } from '../src/site/pool.ts'
import { report } from '../src/site/report.ts'
import { waitUntil } from '../src/site/wait-until.ts'

jest.setTimeout(120_000)

const DEVICES = 40
const RELAYED_SESSIONS = 10
const BACK_WITHIN_MS = 20_000

const PATHS = ['direct', 'relay'] as const

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`two ID servers behind one address, one of which is killed${NO_REDIS ? ` (${NO_REDIS})` : ''}`, () => {
  let cluster: Cluster
  let view: RedisView
  let devices: Device[]
  let controller: Controller

  beforeAll(async () => {
    cluster = await Cluster.start({ address: 'shared' })
    view = cluster.guest(await RedisView.open(cluster.redis.port))
    devices = await startDevices(cluster, DEVICES)
    controller = cluster.controller(0, { localAddress: loopbackAddress(DEVICES) })
  })
  afterAll(() => cluster?.close())

  it('lose no relayed session, and the devices are back at the other within 20 s', async () => {
    const ids = devices.map(({ id }) => id)
    const owners = await waitUntil('Redis names an owner of each device', async () => {
      const owners = await view.ownersByName(ids)
      return owners.size === DEVICES && owners
    })
    const [dead, other] = [cluster.node('hbbs', 0), cluster.node('hbbs', 1)]
    const ownedBy = (name: string) => ids.filter((id) => owners.get(id) === name)
    const lost = ownedBy(dead.name)
    expect(lost.length).toBeGreaterThan(0)
    expect(ownedBy(other.name).length).toBeGreaterThan(0)
    const pulses = await Promise.all(
      devices.slice(0, RELAYED_SESSIONS).map((device) => startPulse(controller, device, 'relay')),
    )

    const killedMs = performance.now()
    await dead.kill()

    // The controllers' next attempt, at once.
    for (const path of PATHS) await eachOf(ownedBy(other.name), 5, (id) => meetOnce(controller, id, path))

    // For one lease the dead server counts as the owner, so being shown online means nothing yet.
    const worstMs = await waitUntil(
      `the devices of the dead server are with the other: ${lost}`,
      async () => {
        const owners = await view.ownersByName(lost)
        return lost.every((id) => owners.get(id) === other.name) && performance.now() - killedMs
      },
      BACK_WITHIN_MS,
    )
    expect(worstMs).toBeLessThanOrEqual(BACK_WITHIN_MS)
    for (const path of PATHS) await eachOf(lost, 5, (id) => meetOnce(controller, id, path))

    const longestMs = Math.max(...(await Promise.all(pulses.map((pulse) => pulse.stop()))))
    report({ devicesOfDeadServer: lost.length, backAfterSeconds: worstMs / 1000, longestRoundTripMs: longestMs })
  })
})
