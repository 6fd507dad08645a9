import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { ConnectError, type Controller, type Device, type Reaction } from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { loopbackAddress } from '../src/cluster/loopback-address.ts'
import { meetOnce, startDevices, startPulse } from '../src/cluster/meet.ts'
import type { Pulse } from '../src/cluster/pulse.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { report } from '../src/site/report.ts'
import { SITE_HOST } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'

jest.setTimeout(120_000)

const DEVICES = 8
const NOT_OFFERED_FROM_MS = 5_000
const WATCHED_FOR_MS = 12_000
const SESSIONS_EACH = 5

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`two relays, one of which is killed${NO_REDIS ? ` (${NO_REDIS})` : ''}`, () => {
  let cluster: Cluster
  let devices: Device[]
  let controllers: Controller[]
  const addressOf = (index: number) => `${SITE_HOST}:${cluster.node('hbbr', index).ports.relay}`

  beforeAll(async () => {
    cluster = await Cluster.start()
    devices = await startDevices(cluster, DEVICES)
    // Half of them ask the ID server that does not have the device.
    controllers = devices.map((_, i) => cluster.controller(i % 2, { localAddress: loopbackAddress(DEVICES + i) }))
  })
  afterAll(() => cluster?.close())

  it('offer only the other from 5 s on, and leave its sessions alone', async () => {
    await waitUntil('both relays are offered', async () => {
      const offered = new Set<string>()
      for (const [i, device] of devices.entries()) offered.add(await offeredRelay(device, controllers[i] as Controller))
      return [0, 1].every((index) => offered.has(addressOf(index)))
    })
    const pulses = new Map<string, Pulse[]>([0, 1].map((index) => [addressOf(index), []]))
    const [device, controller] = [devices[0] as Device, controllers[0] as Controller]
    while ([...pulses.values()].some((begun) => begun.length < SESSIONS_EACH)) {
      const offered = offerTo(device)
      const pulse = await startPulse(controller, device, 'relay')
      pulses.get(await offered)?.push(pulse)
    }

    // The one that carries less is offered more: its death is the one that matters.
    const offers = await Promise.all(devices.map((device, i) => offeredRelay(device, controllers[i] as Controller)))
    const offersOf = (index: number) => offers.filter((address) => address === addressOf(index)).length
    const [dead, other] = offersOf(0) > offersOf(1) ? [0, 1] : [1, 0]
    const killedMs = performance.now()
    await cluster.node('hbbr', dead).kill()

    let lastOfferedMs = 0
    let [later, laterFailed] = [0, 0]
    await Promise.all(
      devices.map(async (device, i) => {
        while (performance.now() - killedMs < WATCHED_FOR_MS) {
          const beganMs = performance.now() - killedMs
          const isLater = beganMs >= NOT_OFFERED_FROM_MS
          const offered = offerTo(device)
          const failure = await meetOnce(controllers[i] as Controller, device.id, 'relay').catch((error) => error)
          if (failure instanceof ConnectError === false && failure !== undefined) throw failure
          if ((await offered) === addressOf(dead)) lastOfferedMs = Math.max(lastOfferedMs, beganMs)
          if (isLater) later++
          if (isLater && failure !== undefined) laterFailed++
        }
      }),
    )
    expect({ later: later > DEVICES, laterFailed }).toEqual({ later: true, laterFailed: 0 })
    expect(lastOfferedMs).toBeLessThan(NOT_OFFERED_FROM_MS)

    const [cut, untouched] = [pulses.get(addressOf(dead)) ?? [], pulses.get(addressOf(other)) ?? []]
    for (const pulse of cut) await expect(pulse.stop()).rejects.toThrow()
    const longestMs = Math.max(...(await Promise.all(untouched.map((pulse) => pulse.stop()))))
    report({ lastOfferedAfterSeconds: lastOfferedMs / 1000, sessionsLater: later, longestRoundTripMs: longestMs })
  })

  /** The relay that the device is sent to next. */
  function offerTo(device: Device): Promise<string> {
    return new Promise((resolve) => {
      const note = (reaction: Reaction) => {
        if (!('relayServer' in reaction)) return
        device.off('reaction', note)
        resolve(reaction.relayServer)
      }
      device.on('reaction', note)
    })
  }

  async function offeredRelay(device: Device, controller: Controller): Promise<string> {
    const offered = offerTo(device)
    await meetOnce(controller, device.id, 'relay')
    return offered
  }
})
