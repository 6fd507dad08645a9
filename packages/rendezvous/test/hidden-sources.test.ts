import { beforeEach, describe, expect, it } from '@jest/globals'
import { HiddenSources, type HiddenSourcesReport } from '../src/hidden-sources.ts'
import { TestBench, TestConnection } from './test-bench.ts'

const GATEWAY = '172.18.0.1'
const PUBLIC = '203.0.113.7'
const OK = 0
const UUID_MISMATCH = 2
const TOO_FREQUENT = 4

let reports: HiddenSourcesReport[]
let seen: (readonly string[])[]
let bench: TestBench

beforeEach(() => {
  reports = []
  seen = []
  const sources = new HiddenSources({
    gateways: () => [GATEWAY],
    onHidden: (report) => reports.push(report),
    onSeen: (ips) => seen.push(ips),
  })
  bench = new TestBench({ maxDevices: 10_000 }, { sources })
})

/** Registers devices that nobody knows. The answers. */
async function registerMany(first: number, count: number, ip: string) {
  const answers: unknown[] = []
  for (let n = first; n < first + count; n++) {
    answers.push(await bench.register(`${100_000_000 + n}`, ip, { port: 1000 + (n % 5) }))
  }
  return answers
}

async function hide() {
  await registerMany(0, 3, GATEWAY)
  bench.server.sweep()
}

describe('a fleet behind a gateway that hides it', () => {
  it('proves nothing by its address: nobody gives a phone another id, whose uuid every controller is told', async () => {
    await hide()
    const uuid = '\u0001'.repeat(32)
    expect(await bench.register('123456789', GATEWAY, { uuid, key: 1 })).toBe(OK)
    const ask = new TestConnection({ ip: GATEWAY, port: 40_000 })
    const registerPk = { id: 'front-desk', oldId: '123456789', uuid: new TextEncoder().encode(uuid) }
    const [answer] = await bench.message(ask, { registerPk })
    expect(answer?.registerPkResponse?.result).toBe(UUID_MISMATCH)
    expect(bench.identities.rows.get('123456789' as never)?.movedTo).toBeUndefined()
  })

  it('is recognised, reported once an hour, and no more when devices show their addresses', async () => {
    await hide()
    expect(reports).toEqual([{ ips: [GATEWAY], devices: 3, connections: 0 }])
    const keepOnline = async (ids: number[], ip: string) => {
      for (const n of ids) await bench.register(`${100_000_000 + n}`, ip)
    }
    for (let minute = 0; minute < 61; minute++) {
      bench.passTime(60_000)
      await keepOnline([0, 1, 2], GATEWAY)
      bench.server.sweep()
    }
    expect(reports).toHaveLength(2)
    await keepOnline([0, 1, 2], PUBLIC)
    for (let minute = 0; minute < 11; minute++) {
      expect(bench.server.sources.isHidden(GATEWAY)).toBe(minute < 10)
      bench.passTime(60_000)
      await keepOnline([0, 1, 2], PUBLIC)
      bench.server.sweep()
    }
    expect(seen).toEqual([[GATEWAY]])
    expect(bench.server.sources.ips).toEqual([])
  })

  it('is set up without a ban, where a fleet behind a public address has to wait', async () => {
    await hide()
    expect(await registerMany(10, 200, GATEWAY)).toEqual(new Array(200).fill(OK))
    const others = await registerMany(1_000, 100, PUBLIC)
    expect(others.filter((answer) => answer === OK)).toHaveLength(32)
  })

  it('is bounded all the same', async () => {
    await hide()
    const answers = await registerMany(10, 3_200, GATEWAY)
    // A hundred times what one source may, and the first uncounted; three came before.
    expect(answers.filter((answer) => answer === OK)).toHaveLength(3_101 - 3)
    expect(answers.at(-1)).toBe(TOO_FREQUENT)
  })

  it('has one device that draws ids without end, which is bounded by itself', async () => {
    await hide()
    const uuid = 'one and the same'
    const answers: unknown[] = []
    for (let n = 0; n < 40; n++) answers.push(await bench.register(`${200_000_000 + n}`, GATEWAY, { uuid }))
    expect(answers.filter((answer) => answer === OK)).toHaveLength(32)
    expect(await bench.register('300000000', GATEWAY)).toBe(OK)
  })

  it('hears of a mismatch device by device', async () => {
    await registerMany(0, 3, GATEWAY)
    const claim = (uuid: string) => bench.register('100000000', GATEWAY, { uuid, port: 7 })
    expect([await claim('a'), await claim('b')]).toEqual([UUID_MISMATCH, undefined])
    bench.passTime(30_000)
    await registerMany(0, 3, GATEWAY)
    bench.server.sweep()
    expect([await claim('a'), await claim('b'), await claim('a')]).toEqual([UUID_MISMATCH, UUID_MISMATCH, undefined])
  })
})

describe('a stranger on the internet', () => {
  it('hides nothing, however many devices and connections come from one address', async () => {
    for (let minute = 0; minute < 5; minute++) {
      await registerMany(minute * 40, 40, PUBLIC)
      for (let n = 0; n < 1_000; n++) bench.server.sources.noteConnection(PUBLIC)
      bench.server.sweep()
      bench.passTime(20_000)
    }
    expect(bench.server.presence.size).toBeGreaterThan(30)
    expect(bench.server.sources.isHidden(PUBLIC)).toBe(false)
    expect(reports).toEqual([])
  })
})

describe('connections from the gateway', () => {
  it('tell as well as devices do', () => {
    bench.server.sweep()
    for (let n = 0; n < 30; n++) bench.server.sources.noteConnection(GATEWAY)
    bench.passTime(1_000)
    bench.server.sweep()
    expect(reports).toEqual([{ ips: [GATEWAY], devices: 0, connections: 30 }])
  })
})
