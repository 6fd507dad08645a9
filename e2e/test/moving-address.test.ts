import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { type Machine, MovingSite, ROUTER } from '../src/moving-address/moving-site.ts'
import { NO_MOVING_ADDRESS } from '../src/moving-address/obstacle.ts'
import { report } from '../src/site/report.ts'
import { waitUntil } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(180_000)

/** What docs/operating.md promises for a node that dies. */
const BACK_WITHIN_MS = 20_000

const obstacle = NO_MOVING_ADDRESS ?? NO_REDIS
const suite = obstacle === undefined ? describe : describe.skip

suite(`a moving address for two nodes${obstacle === undefined ? '' : ` (${obstacle})`}`, () => {
  let site: MovingSite
  let device: string

  beforeAll(async () => {
    site = await MovingSite.start()
    device = await site.startDevice()
  })
  afterAll(() => site?.close())

  const holder = (): Machine => {
    const machine = site.holder()
    if (!machine) throw new Error('no machine has the address')
    return machine
  }
  const isServedBy = (machine: Machine) => () => site.whereabouts(device)?.node === machine.name

  it('shows where the device really is', async () => {
    await waitUntil('Redis knows the device', isServedBy(holder()))
    expect(site.whereabouts(device)?.ip).toBe(ROUTER)
    expect(site.askFor(device)).toMatch(new RegExp(`^${ROUTER}:\\d+$`))
  })

  it.each([
    ['its ID server is killed', (machine: Machine) => machine.killHbbs(), (machine: Machine) => machine.startHbbs()],
    [
      'its machine falls off the network',
      (machine: Machine) => machine.unplug(),
      (machine: Machine) => machine.plugIn(),
    ],
  ])('goes to the other machine when %s, and the device with it', async (fault, breakIt, mendIt) => {
    const from = holder()
    const [to] = site.machines.filter((machine) => machine !== from) as [Machine]
    const beganMs = performance.now()
    breakIt(from)
    await waitUntil('the address has moved', () => to.hasAddress, BACK_WITHIN_MS)
    const movedMs = performance.now() - beganMs
    await waitUntil('the other node serves the device', isServedBy(to), BACK_WITHIN_MS)
    const backMs = performance.now() - beganMs
    report({ [`${fault}: address moved after s`]: movedMs / 1_000, 'device back after s': backMs / 1_000 })
    expect(backMs).toBeLessThan(BACK_WITHIN_MS)
    expect(site.whereabouts(device)?.ip).toBe(ROUTER)
    expect(site.askFor(device)).toMatch(new RegExp(`^${ROUTER}:\\d+$`))
    mendIt(from)
    await waitUntil('one machine has the address', () => site.holder() === to && !from.hasAddress, BACK_WITHIN_MS)
  })
})
