import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { GroupCommit } from '../src/group-commit.ts'
import { type IdentityRecord, readIdentity } from '../src/identity-record.ts'
import { renameInSteps, type WriteIdentity } from '../src/identity-renaming.ts'
import { UNDO_IDENTITIES } from '../src/identity-scripts.ts'
import { RedisConnection, RedisIdentityStore } from '../src/index.ts'
import { device, filled } from './devices.ts'
import { type ClusterServers, startRedisCluster } from './redis-cluster-servers.ts'
import { redisSettings } from './redis-fixture.ts'
import { whyNoRedisServer } from './redis-server.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `a change of id on a Redis Cluster (skipped: ${whyNoRedisServer})`]
  : [describe, 'a change of id on a Redis Cluster']

const OLD = '123456789' as PeerId
const NEW = 'front-desk' as PeerId
const HOLD_MS = 3_600_000
const STEPS = 4

suite(name, () => {
  let servers: ClusterServers
  let prefixes = 0
  let connection: RedisConnection
  let store: RedisIdentityStore
  /** Knows what the first one knew before the change. */
  let other: RedisIdentityStore
  let guid: Uint8Array

  beforeAll(async () => {
    servers = await startRedisCluster()
  })
  afterAll(() => servers.stop())

  beforeEach(async () => {
    connection = await RedisConnection.open(
      redisSettings('redis://', { cluster: servers.addresses, prefix: `rename-${prefixes++}:` }),
    )
    store = await RedisIdentityStore.open(connection, { maxDevices: 100 })
    other = await RedisIdentityStore.open(connection, { maxDevices: 100 })
    guid = (await store.create(device(OLD))).identity.guid
    await other.find(OLD)
  })
  afterEach(async () => {
    await store.close()
    await other.close()
    connection.close()
  })

  const ask = async (id: PeerId, name: string, ...args: string[]) => {
    const key = connection.keys.peer(id)
    const [reply] = await connection.pipelined([{ key, name, args: [key, ...args] }])
    if (reply instanceof Error) throw reply
    return reply
  }

  async function read(id: PeerId): Promise<IdentityRecord> {
    const key = connection.keys.peer(id)
    const fields = ['guid', 'uuid', 'pk', 'ip', 'v', 'created', 'by', 'moved', 'reserved']
    const [reply] = await connection.pipelined([{ key, name: 'HMGET', args: [key, ...fields], replies: 'bytes' }])
    return readIdentity(reply as never) as IdentityRecord
  }

  /** The node that makes the change dies after so many of its steps. */
  async function dieAfter(steps: number, from = OLD, to = NEW): Promise<void> {
    const commit = new GroupCommit(connection, UNDO_IDENTITIES)
    let taken = 0
    const write: WriteIdentity = async (id, change) => {
      if (taken === steps) throw new StoreUnavailableError('this node has died')
      taken++
      return commit.write({ ...change, key: connection.keys.peer(id) })
    }
    const renaming = { from, to, uuid: filled(36, 1), holdMs: HOLD_MS }
    await renameInSteps(renaming, await read(from), write).catch((error: unknown) => {
      if (!(error instanceof StoreUnavailableError)) throw error
    })
    expect(taken).toBe(steps)
  }

  const letReservationsLapse = () => ask(NEW, 'HGET', 'reserved').then((by) => by && ask(NEW, 'PEXPIRE', '0'))
  const rename = (by: RedisIdentityStore, from = OLD, to = NEW) =>
    by.rename({ from, to, uuid: filled(36, 1), holdMs: HOLD_MS })

  it('spreads the two ids over different primaries in these tests', async () => {
    const lanes = [OLD, NEW].map((id) => connection.laneFor(connection.keys.peer(id)))
    expect(new Set(lanes).size).toBe(2)
  })

  describe.each(Array.from({ length: STEPS + 1 }, (_, steps) => steps))('that ended after %i of its steps', (steps) => {
    beforeEach(() => dieAfter(steps))

    it('leaves the new id to nobody else, for a minute at most where the device does not have it', async () => {
      if (steps === 0) return expect(await store.find(NEW)).toBeUndefined()
      expect(await other.create(device(NEW, 2))).toMatchObject({ created: false })
      const leftMs = Number(await ask(NEW, 'PTTL'))
      if (steps < 3) expect(leftMs).toBeGreaterThan(0)
      if (steps < 3) expect(leftMs).toBeLessThanOrEqual(60_000)
      else expect(leftMs).toBe(-1)
    })

    it('leaves the old id to nobody else', async () => {
      expect(await other.create(device(OLD, 2))).toMatchObject({ created: false })
      expect(await other.find(OLD)).toMatchObject({ guid, uuid: filled(36, 1) })
      await letReservationsLapse()
      expect(await other.create(device(OLD, 2))).toMatchObject({ created: false })
    })

    it.each(['at once', 'after the reservation has lapsed'])(
      'is made good when it is asked for again %s',
      async (when) => {
        if (when !== 'at once') await letReservationsLapse()
        expect(await rename(other)).toBe('renamed')
        expect(await store.find(NEW)).toMatchObject({ guid, uuid: filled(36, 1), publicKey: filled(32, 1) })
        const held = await store.find(OLD)
        expect(held).toMatchObject({ movedTo: NEW })
        expect(await ask(NEW, 'PTTL')).toBe(-1)
        expect(Number(await ask(OLD, 'PTTL'))).toBeGreaterThan(HOLD_MS)
      },
    )

    it('leaves the device its old id: it is still there, or the change can be taken back', async () => {
      await letReservationsLapse()
      const found = await other.find(OLD)
      expect(found).toMatchObject({ guid, uuid: filled(36, 1) })
      if (steps < 3) {
        expect(found?.movedTo).toBeUndefined()
        expect(await other.find(NEW)).toBeUndefined()
        expect(await other.create(device(NEW, 2))).toMatchObject({ created: true })
        return
      }
      expect(found?.movedTo).toBe(NEW)
      expect(await rename(other, NEW, OLD)).toBe('renamed')
      expect(await store.find(OLD)).toMatchObject({ guid })
      expect((await store.find(OLD))?.movedTo).toBeUndefined()
      expect(await ask(OLD, 'PTTL')).toBe(-1)
    })

    it('can be taken back while the reservation stands', async () => {
      if ((await other.find(OLD))?.movedTo === undefined) return
      expect(await rename(other, NEW, OLD)).toBe('renamed')
      const back = await store.find(OLD)
      expect(back).toMatchObject({ guid, uuid: filled(36, 1) })
      expect(back?.movedTo).toBeUndefined()
      expect(await ask(OLD, 'PTTL')).toBe(-1)
    })

    it.each(Array.from({ length: STEPS }, (_, again) => again))(
      'loses nothing when taking it back ends after %i steps',
      async (again) => {
        if ((await other.find(OLD))?.movedTo === undefined) return
        await dieAfter(again, NEW, OLD)
        await letReservationsLapse()
        for (const id of [OLD, NEW])
          expect(await other.create(device(id, 2))).toMatchObject({ created: id === NEW && steps < 3 })
        if ((await other.find(NEW))?.uuid[0] !== 1) return expect(await other.find(OLD)).toMatchObject({ guid })
        // Whichever of the two ids the device comes with, it gets it.
        const isNewStanding = (await other.find(NEW))?.movedTo === undefined
        if (!isNewStanding) expect(await rename(store, NEW, OLD)).toBe('renamed')
        const standing = isNewStanding ? NEW : OLD
        expect(await store.find(standing)).toMatchObject({ guid, uuid: filled(36, 1) })
        expect((await store.find(standing))?.movedTo).toBeUndefined()
        expect(await ask(standing, 'PTTL')).toBe(-1)
      },
    )
  })
})
