import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { DeviceSession } from '@tryst/client'
import { BOMBARDMENTS } from '../src/site/bombardment.ts'
import { exchange } from '../src/site/exchange.ts'
import { Site } from '../src/site/site.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const SEED = Number(process.env.GARBAGE_SEED ?? 1)
const MESSAGES = 140
const ROUNDS = 2
const MEBIBYTE = 1 << 20
/** What the garbage collector may not have taken back yet; a leak of 16 KiB a message would be more. */
const GROWTH_BYTES = 48 * MEBIBYTE

let site: Site

beforeAll(async () => {
  // The tests' own devices come from a few addresses.
  site = await Site.start({ hbbs: { env: { NEW_IDS_PER_MINUTE: '100000', NEW_IDS_PER_DAY: '100000' } } })
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

/** A device and two controllers, over TCP and WebSocket, have relayed sessions. */
async function expectServed(): Promise<void> {
  const sessions: DeviceSession[] = []
  const device = await site.device({
    password: 'pw',
    localAddress: '127.0.0.2',
    onSession: (one) => sessions.push(one),
  })
  for (const transport of ['tcp', 'websocket'] as const) {
    const ours = await site.controller({ transport }).connect(device.id, { password: 'pw', forceRelay: true })
    const { forth, back } = await exchange(ours, sessions.at(-1) as DeviceSession, 64 * 1024)
    expect([forth.received, back.received]).toEqual([forth.sent, back.sent])
  }
  const controller = site.controller()
  expect(await controller.queryOnline([device.id])).toEqual(new Map([[device.id, true]]))
  expect(await controller.testNat()).toBe('asymmetric')
}

const residentBytes = () => ({ hbbs: site.hbbs.residentBytes(), hbbr: site.hbbr.residentBytes() })

describe(`garbage (GARBAGE_SEED=${SEED})`, () => {
  it.each(BOMBARDMENTS.map((each) => [each.name, each] as const))(
    'on %s ends no process, and the next client is served',
    async (_, bombardment) => {
      await bombardment.send(site, SEED, MESSAGES)
      await expectServed()
    },
  )

  it('leaves memory flat', async () => {
    const round = async (seed: number) => {
      for (const bombardment of BOMBARDMENTS) {
        await bombardment.send(site, seed, MESSAGES)
        await site.dismissGuests()
      }
    }
    await round(SEED + 1)
    const before = residentBytes()
    for (let i = 0; i < ROUNDS; i++) await round(SEED + 2 + i)
    const after = residentBytes()
    expect(after.hbbs - before.hbbs).toBeLessThan(GROWTH_BYTES)
    expect(after.hbbr - before.hbbr).toBeLessThan(GROWTH_BYTES)
    await expectServed()
  })
})
