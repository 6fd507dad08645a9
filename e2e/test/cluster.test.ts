import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { Controller, Device, DeviceSession } from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { exchange } from '../src/site/exchange.ts'
import { within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`two ID servers and two relays on one Redis${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start({
      env: { SINGLE_BANDWIDTH: '20000', TOTAL_BANDWIDTH: '20000', LIMIT_SPEED: '20000' },
    })
  })
  afterEach(() => cluster?.dismissGuests())
  afterAll(() => cluster?.close())

  async function expectSession(controller: Controller, device: Device, path: 'direct' | 'relay'): Promise<void> {
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: path === 'relay' })
    const theirs = await within('the device has a session', accepted)
    expect({ path: ours.path, encrypted: ours.isEncrypted }).toEqual({ path, encrypted: true })
    const { forth, back } = await exchange(ours, theirs, 4 * MEBIBYTE)
    expect(forth.received).toBe(forth.sent)
    expect(back.received).toBe(back.sent)
  }

  it.each([
    ['direct', 0, 0],
    ['direct', 0, 1],
    ['relay', 0, 0],
    ['relay', 0, 1],
    ['relay', 1, 0],
  ] as const)('make a %s session to a device of node %i for a controller of node %i', async (path, at, from) => {
    const device = await cluster.device(at, { password: PASSWORD, localAddress: '127.0.0.2' })
    await expectSession(cluster.controller(from, { localAddress: '127.0.0.3' }), device, path)
  })

  it('tell each other who is online', async () => {
    const [one, two] = [await cluster.device(0), await cluster.device(1)]
    for (const node of [0, 1]) {
      expect(await cluster.controller(node).queryOnline([one.id, two.id, '100000001'])).toEqual(
        new Map([
          [one.id, true],
          [two.id, true],
          ['100000001', false],
        ]),
      )
    }
  })
})
