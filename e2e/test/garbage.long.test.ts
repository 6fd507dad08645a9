import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { BOMBARDMENTS } from '../src/site/bombardment.ts'
import { Site } from '../src/site/site.ts'

jest.setTimeout(30 * 60_000)

/** Another one each time, so that every run tries something new; what broke something can be tried again. */
const SEED = Number(process.env.GARBAGE_SEED ?? randomInt(1_000_000))
const ROUNDS = 60
const MESSAGES = 400
const MEBIBYTE = 1 << 20
const GROWTH_BYTES = 48 * MEBIBYTE

let site: Site

beforeAll(async () => {
  site = await Site.start({ hbbs: { env: { NEW_IDS_PER_MINUTE: '1000000', NEW_IDS_PER_DAY: '1000000' } } })
})
afterAll(() => site?.close())

it(`memory stays flat under garbage for long (GARBAGE_SEED=${SEED})`, async () => {
  const round = async (seed: number) => {
    for (const bombardment of BOMBARDMENTS) {
      await bombardment.send(site, seed, MESSAGES)
      await site.dismissGuests()
    }
  }
  await round(SEED)
  const [hbbs, hbbr] = [site.hbbs.residentBytes(), site.hbbr.residentBytes()]
  for (let i = 1; i <= ROUNDS; i++) await round(SEED + i)
  expect(site.hbbs.residentBytes() - hbbs).toBeLessThan(GROWTH_BYTES)
  expect(site.hbbr.residentBytes() - hbbr).toBeLessThan(GROWTH_BYTES)
})
