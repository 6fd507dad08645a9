import { describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import type { PeerId } from '../src/peer-identity.ts'
import type { RendezvousSettings } from '../src/settings.ts'
import { TestBench, TestConnection } from './test-bench.ts'
import { at, TestCluster } from './test-cluster.ts'

const { Result } = rendezvous.RegisterPkResponse
const OLD = '123456789'
const NEW = 'front-desk'
const HOME = '203.0.113.9'
const ELSEWHERE = '203.0.113.77'
const utf8 = new TextEncoder()

async function changeId(
  bench: TestBench,
  {
    from = OLD,
    to = NEW,
    uuid = `uuid-${OLD}`,
    ip = HOME,
  }: Partial<Record<'from' | 'to' | 'uuid' | 'ip', string>> = {},
) {
  const connection = new TestConnection({ ip, port: 40_000 })
  const registerPk = { id: to, oldId: from, uuid: utf8.encode(uuid) }
  const answers = await bench.message(connection, { registerPk })
  expect(answers).toHaveLength(1)
  expect(connection.closed).toBe(true)
  return answers[0]?.registerPkResponse?.result
}

async function benchWithDevice(settings: Partial<RendezvousSettings> = {}, cluster?: TestCluster) {
  const bench = new TestBench(settings, cluster ? { cluster } : {})
  await bench.register(OLD, HOME)
  return bench
}

/** As the device does under its new id at its next tick. */
const registerNew = (bench: TestBench, { key = 1, ip = HOME } = {}) =>
  bench.register(NEW, ip, { uuid: `uuid-${OLD}`, key })
const registerOld = (bench: TestBench, { key = 1, ip = HOME } = {}) =>
  bench.register(OLD, ip, { uuid: `uuid-${OLD}`, key })
const isOnline = (bench: TestBench, id: string) => bench.server.presence.isOnline(id as PeerId, bench.nowMs)
const row = (bench: TestBench, id: string) => bench.identities.rows.get(id as PeerId)

describe('a device whose user wants another id', () => {
  it('gets it, and is online under it as soon as it registers', async () => {
    const bench = await benchWithDevice()
    expect(await changeId(bench)).toBe(Result.OK)
    expect(isOnline(bench, OLD)).toBe(false)
    bench.passTime(13_000)
    expect(await registerNew(bench)).toBe(Result.OK)
    expect(isOnline(bench, NEW)).toBe(true)
    expect(bench.events).toContain(`idChanged ${OLD} ${NEW}`)
    expect(bench.server.counters.idChanges.changed).toBe(1)
    expect(row(bench, OLD)?.movedTo).toBe(NEW)
  })

  it('is told why it does not', async () => {
    const bench = await benchWithDevice()
    await bench.register('other-name', ELSEWHERE)
    expect(await changeId(bench, { to: 'other-name' })).toBe(Result.ID_EXISTS)
    expect(await changeId(bench, { to: '1-digit-first' })).toBe(Result.INVALID_ID_FORMAT)
    expect(await changeId(bench, { uuid: 'another' })).toBe(Result.UUID_MISMATCH)
    expect(await changeId(bench, { uuid: '' })).toBe(Result.UUID_MISMATCH)
    expect(await changeId(bench, { from: 'nobody' })).toBe(Result.UUID_MISMATCH)
    bench.identities.failing = true
    expect(await changeId(bench)).toBe(Result.SERVER_ERROR)
    bench.identities.failing = false
    bench.identities.standing = 'uncertain'
    expect(await changeId(bench)).toBe(Result.SERVER_ERROR)
    expect(row(bench, OLD)?.movedTo).toBeUndefined()
    expect(isOnline(bench, OLD)).toBe(true)
  })

  it('does not learn whether an id is taken before it has proved that it has one', async () => {
    const bench = await benchWithDevice()
    await bench.register('other-name', ELSEWHERE)
    expect(await changeId(bench, { to: 'other-name', uuid: 'another' })).toBe(Result.UUID_MISMATCH)
    expect(await changeId(bench, { to: 'free-name', uuid: 'another' })).toBe(Result.UUID_MISMATCH)
  })

  it('is told that the server does not support it where the operator gives the ids', async () => {
    const bench = await benchWithDevice({ idChanges: 'off' })
    expect(await changeId(bench)).toBe(Result.NOT_SUPPORT)
    expect(bench.server.counters.idChanges.not_supported).toBe(1)
  })

  it('is told OK again when it asks again', async () => {
    const bench = await benchWithDevice()
    expect(await changeId(bench)).toBe(Result.OK)
    expect(await changeId(bench)).toBe(Result.OK)
    expect(await registerNew(bench)).toBe(Result.OK)
    expect(await changeId(bench)).toBe(Result.OK)
    expect(isOnline(bench, NEW)).toBe(true)
  })

  it('may do so five times in an hour', async () => {
    const bench = await benchWithDevice()
    const names = [OLD, ...Array.from({ length: 7 }, (_, index) => `another-name-${index}`)]
    for (let index = 0; index < 5; index++) {
      const [from = '', to = ''] = names.slice(index)
      expect(await changeId(bench, { from, to })).toBe(Result.OK)
    }
    expect(await changeId(bench, { from: 'another-name-4', to: 'another-name-5' })).toBe(Result.TOO_FREQUENT)
    expect(bench.events).toContain(`limitHit id-changes ${HOME}`)
    bench.passTime(3_600_000)
    expect(await changeId(bench, { from: 'another-name-4', to: 'another-name-5' })).toBe(Result.OK)
  })

  it('counts its new id like one that is registered', async () => {
    const bench = await benchWithDevice()
    for (let i = 0; i < 31; i++) await bench.register(`90000${100 + i}`, HOME)
    expect(await changeId(bench)).toBe(Result.TOO_FREQUENT)
    bench.passTime(60_001)
    expect(await changeId(bench)).toBe(Result.OK)
  })

  it('takes its note along', async () => {
    const bench = await benchWithDevice()
    await bench.access.setNote(OLD as PeerId, 'reception')
    await changeId(bench)
    await bench.settled()
    expect(await bench.access.notes()).toEqual(new Map([[NEW, 'reception']]))
  })
})

describe('somebody who guesses uuids', () => {
  it('is refused after ten wrong ones in a minute, and is in the log with the address', async () => {
    const bench = await benchWithDevice()
    for (let guess = 0; guess < 10; guess++)
      expect(await changeId(bench, { uuid: `guess ${guess}`, ip: ELSEWHERE })).toBe(Result.UUID_MISMATCH)
    expect(await changeId(bench, { ip: ELSEWHERE })).toBe(Result.TOO_FREQUENT)
    expect(bench.events.filter((event) => event.startsWith('idChangeRefused'))).toHaveLength(10)
    expect(bench.events).toContain(`limitHit wrong-uuids-per-minute ${ELSEWHERE}`)
    expect(await changeId(bench)).toBe(Result.OK)
  })
})

describe('an id that was given up', () => {
  it('is nobody else\u2019s while it is held', async () => {
    const bench = await benchWithDevice()
    await changeId(bench)
    expect(await bench.register(OLD, ELSEWHERE, { uuid: 'another' })).toBe(Result.UUID_MISMATCH)
    await bench.register('555555555', ELSEWHERE)
    const other = { from: '555555555', uuid: 'uuid-555555555', ip: ELSEWHERE }
    expect(await changeId(bench, { ...other, to: NEW })).toBe(Result.ID_EXISTS)
  })

  it('is the device\u2019s again where the answer was lost: it goes on as before', async () => {
    const bench = await benchWithDevice()
    await changeId(bench)
    expect(await bench.heartbeat(OLD, HOME)).toBe(true)
    expect(await registerOld(bench)).toBe(Result.OK)
    expect(isOnline(bench, OLD)).toBe(true)
    expect(row(bench, OLD)?.movedTo).toBeUndefined()
    expect(row(bench, NEW)?.movedTo).toBe(OLD)
    expect(bench.events).toContain(`idTakenBack ${OLD} ${NEW}`)
    expect(await changeId(bench)).toBe(Result.OK)
    expect(await registerNew(bench)).toBe(Result.OK)
  })

  it('is another machine\u2019s with the same image, and each keeps its own', async () => {
    const bench = await benchWithDevice()
    await changeId(bench)
    expect(await registerNew(bench)).toBe(Result.OK)
    expect(await registerOld(bench, { ip: ELSEWHERE })).toBe(Result.OK)
    expect([isOnline(bench, OLD), isOnline(bench, NEW)]).toEqual([true, true])
    expect([row(bench, OLD)?.movedTo, row(bench, NEW)?.movedTo]).toEqual([undefined, undefined])
  })

  it('is another machine\u2019s also where the first one is on another node', async () => {
    const cluster = new TestCluster()
    const bench = await benchWithDevice({}, cluster)
    await changeId(bench)
    cluster.locations = [at('b')]
    expect(await registerOld(bench, { ip: ELSEWHERE })).toBe(Result.OK)
    expect(row(bench, NEW)?.movedTo).toBeUndefined()
  })

  it('is not given back for a uuid alone', async () => {
    const bench = await benchWithDevice()
    await changeId(bench)
    expect(await registerOld(bench, { key: 2, ip: ELSEWHERE })).toBe(Result.NOT_DEPLOYED)
    expect(row(bench, OLD)?.movedTo).toBe(NEW)
  })
})

describe('a device that other nodes may hold', () => {
  it('is dropped there under its old id', async () => {
    const cluster = new TestCluster()
    const bench = await benchWithDevice({}, cluster)
    await changeId(bench)
    expect(cluster.asked).toContain(`dismiss ${OLD}`)
  })
})
