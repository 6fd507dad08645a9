import { describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import type { NewPeerIdentity } from '../src/identity-store.ts'
import type { PeerId } from '../src/peer-identity.ts'
import { MemoryIdentities, TestBench } from './test-bench.ts'
import { TestCluster } from './test-cluster.ts'

const { Result } = rendezvous.RegisterPkResponse
const ID = '123456789'
const HOME = '203.0.113.9'
const ELSEWHERE = '203.0.113.77'

async function benchWithDevice(identities = new MemoryIdentities()) {
  const cluster = new TestCluster()
  const bench = new TestBench({}, { cluster, identities })
  await bench.register(ID, HOME)
  bench.server.presence.remove(ID as PeerId)
  cluster.asked.length = 0
  return { bench, cluster, identities }
}

const isOnline = (bench: TestBench) => bench.server.presence.isOnline(ID as PeerId, bench.nowMs)

describe('a registration with another uuid than the stored one', () => {
  it.each([
    ['another uuid', { uuid: 'other' }, Result.UUID_MISMATCH],
    ['another key from another address', { key: 2 }, Result.NOT_DEPLOYED],
  ])('is never the reason to throw an id away while the store is uncertain: %s', async (_, differently, otherwise) => {
    const { bench, identities } = await benchWithDevice()
    identities.standing = 'uncertain'
    expect(await bench.register(ID, ELSEWHERE, differently)).toBe(Result.SERVER_ERROR)
    expect(bench.server.counters.registrations).toMatchObject({ uuid_uncertain: 1, uuid_mismatch: 0 })
    identities.standing = 'certain'
    expect(await bench.register(ID, ELSEWHERE, differently)).toBe(otherwise)
  })

  it('waits for an operator where the store contradicts what was acknowledged, and both sides are named', async () => {
    const { bench, identities } = await benchWithDevice()
    identities.standing = 'contradicted'
    expect(await bench.register(ID, ELSEWHERE, { uuid: 'other' })).toBe(Result.TOO_FREQUENT)
    expect(bench.server.counters.registrations).toMatchObject({ uuid_contradicted: 1, uuid_mismatch: 0 })
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
    const [[id, from, registering, stored]] = bench.contradictions as [(typeof bench.contradictions)[number]]
    expect([id, from]).toEqual([ID, { ip: ELSEWHERE, port: 1000 }])
    expect([text(registering.uuid), registering.ip]).toEqual(['other', ELSEWHERE])
    expect([text(stored.uuid), stored.ip]).toEqual([`uuid-${ID}`, HOME])
  })

  it('is refused in the same way when it loses a race for the id', async () => {
    const { bench, identities } = await benchWithDevice()
    identities.standing = 'uncertain'
    identities.find = async () => undefined
    expect(await bench.register(ID, ELSEWHERE, { uuid: 'other' })).toBe(Result.SERVER_ERROR)
  })
})

describe('the device itself', () => {
  it.each(['uncertain', 'contradicted'] as const)('is served while the store is %s', async (standing) => {
    const { bench, identities } = await benchWithDevice()
    identities.standing = standing
    expect(await bench.register(ID, HOME)).toBe(Result.OK)
    expect(await bench.register(ID, ELSEWHERE)).toBe(Result.OK)
    expect(isOnline(bench)).toBe(true)
  })
})

describe('a registration that is answered SERVER_ERROR', () => {
  it('makes nobody online, now or later', async () => {
    const { bench, cluster, identities } = await benchWithDevice()
    const answered = Promise.withResolvers<void>()
    identities.pause = answered.promise
    identities.failing = true
    const registering = bench.register(ID, ELSEWHERE)
    answered.resolve()
    expect(await registering).toBe(Result.SERVER_ERROR)
    identities.failing = false
    await bench.settled()
    expect(isOnline(bench)).toBe(false)
    expect(cluster.asked).toEqual([])
  })

  /** A store whose every step takes as long as the test says. */
  class SlowIdentities extends MemoryIdentities {
    pass: () => void = () => undefined

    override async find(id: PeerId) {
      this.pass()
      return super.find(id)
    }

    override async create(identity: NewPeerIdentity) {
      this.pass()
      return super.create(identity)
    }
  }

  it('is so because the store took too long to begin a write with, and has changed nothing', async () => {
    const identities = new SlowIdentities()
    const { bench } = await benchWithDevice(identities)
    const writes = identities.writes
    identities.pass = () => bench.passTime(501)
    expect(await bench.register('987654321', HOME)).toBe(Result.SERVER_ERROR)
    expect(await bench.register(ID, ELSEWHERE)).toBe(Result.SERVER_ERROR)
    expect(identities.writes).toBe(writes)
    expect(await bench.register(ID, HOME)).toBe(Result.OK)
    identities.pass = () => bench.passTime(499)
    expect(await bench.register('987654321', HOME)).toBe(Result.OK)
  })
})
