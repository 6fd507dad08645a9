import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import {
  type ArchivedIdentity,
  type Imported,
  RedisConnection,
  RedisIdentityArchive,
  RedisIdentityStore,
} from '../src/index.ts'
import { device, filled } from './devices.ts'
import { startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `many identities at once (skipped: ${whyNoRedis})`]
  : [describe, 'many identities at once']

suite(name, () => {
  let redis: TestRedis
  let connection: RedisConnection
  let store: RedisIdentityStore
  let archive: RedisIdentityArchive

  beforeAll(async () => {
    redis = await startTestRedis()
  })

  afterAll(() => redis.stop())

  beforeEach(async () => {
    connection = await RedisConnection.open(redis.settings())
    store = await RedisIdentityStore.open(connection, { maxDevices: 10_000 })
    archive = new RedisIdentityArchive(connection)
  })

  afterEach(async () => {
    await store.close()
    connection.close()
  })

  const archived = (id: string, value = 1): ArchivedIdentity => ({
    ...device(id, value),
    guid: filled(16, value),
    createdMs: 1_700_000_000_000 + value,
  })

  async function all<T>(items: AsyncGenerator<T>): Promise<T[]> {
    const list: T[] = []
    for await (const item of items) list.push(item)
    return list
  }

  const count = (imported: Imported[], outcome: string) => imported.filter((each) => each.outcome === outcome).length

  it('are taken in as they were, once, while devices register, and come out the same', async () => {
    const identities = Array.from({ length: 5_000 }, (_, index) => archived(`é:{${index}}`, index % 256))
    const startedMs = performance.now()
    const registering = Promise.all(Array.from({ length: 200 }, (_, index) => store.create(device(`new-${index}`))))
    expect(count(await all(archive.import(identities)), 'created')).toBe(5_000)
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect((await registering).every(({ created }) => created)).toBe(true)
    expect(count(await all(archive.import(identities)), 'same')).toBe(5_000)
    const exported = await all(archive.export())
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
    expect(exported.filter(({ id }) => !id.startsWith('new-')).sort(byId)).toEqual([...identities].sort(byId))
    expect(exported.length).toBe(5_200)
    expect(await store.find(archived('é:{7}').id)).toMatchObject({ uuid: filled(36, 7), standing: 'certain' })
  })

  it('leave an id with whoever has it, and say who that is', async () => {
    const { identity } = await store.create(device('taken', 1))
    const { standing, ...stored } = identity
    for (const outcome of [archive.inspect([archived('taken', 2)]), archive.import([archived('taken', 2)])])
      expect(await all(outcome)).toEqual([{ id: 'taken', outcome: 'other', stored: { ...stored, standing } }])
    expect(await store.find(identity.id)).toEqual(identity)
  })

  it('replace only what they are told to, and every node takes it', async () => {
    const { identity } = await store.create(device('taken', 1))
    const replace = new Set(['taken'])
    expect(await all(archive.inspect([archived('taken', 2)], { replace }))).toMatchObject([{ outcome: 'replaced' }])
    expect(await store.find(identity.id)).toEqual(identity)
    expect(await all(archive.import([archived('taken', 2)], { replace }))).toEqual([
      { id: 'taken', outcome: 'replaced' },
    ])
    expect(await store.find(identity.id)).toMatchObject({ uuid: filled(36, 2), standing: 'certain' })
  })

  it('are only looked at when nothing is to be written', async () => {
    expect(await all(archive.inspect([archived('new')]))).toEqual([{ id: 'new', outcome: 'created' }])
    expect(await store.find(archived('new').id)).toBeUndefined()
  })
})
