import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { mangleAddress } from '@tryst/protocol'
import { type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { RedisConnection } from '../src/index.ts'
import { LinkHub } from './link-hub.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, whyNoRedisServer } from './redis-server.ts'
import { TestNode } from './test-node.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `nodes when something breaks (skipped: ${whyNoRedisServer})`]
  : [describe, 'nodes when something breaks']

const LEASE_MS = 600
const laptop = '123456789' as PeerId
const ids = (count: number) => Array.from({ length: count }, (_, index) => String(100_000_000 + index) as PeerId)

suite(name, () => {
  let redis: OwnRedis
  let hub: LinkHub
  let nodes: TestNode[]
  const node = (index: number) => nodes[index] as TestNode

  beforeEach(async () => {
    redis = await startRedisServer()
    hub = new LinkHub()
    const settings = redisSettings(redis.url, { nodeLeaseMs: LEASE_MS })
    nodes = []
    for (const name of ['a', 'b', 'c']) nodes.push(await TestNode.join(hub, settings, { name }))
    await Promise.all(nodes.map(({ node }) => node.renew()))
  })

  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.leave()))
    await redis.stop()
  })

  const isFoundAt = async (id: PeerId, at: TestNode, by: TestNode) =>
    (await by.locate(id))?.node === at.node.incarnation
  const untilLeasesLapsed = () => until(() => nodes.every(({ node }) => !node.hasLease), 'leases have lapsed')

  it('tell a node that could not be reached to forget a device as soon as it can be', async () => {
    await node(0).hear(laptop, '192.0.2.1')
    hub.cut(node(0).node.incarnation)
    await node(1).hear(laptop, '192.0.2.2')
    expect(await isFoundAt(laptop, node(1), node(2))).toBe(true)
    expect(node(0).forgotten).toEqual([])
    hub.mend(node(0).node.incarnation)
    await until(() => node(0).forgotten.length === 1, 'the former node has forgotten the device')
    expect(node(1).forgotten).toEqual([])
  })

  it('leave a device alone that has moved when an old connection closes late', async () => {
    await node(0).hear(laptop, '192.0.2.1', 'connection-7')
    hub.lost.add('forget')
    await node(1).hear(laptop, '192.0.2.1', 'connection-7')
    await node(0).lose(laptop, 'connection-7')
    expect(await isFoundAt(laptop, node(1), node(2))).toBe(true)
  })

  it('take a restart under the same name for another node', async () => {
    await node(0).hear(laptop, '192.0.2.1')
    node(0).kill()
    const settings = redisSettings(redis.url, { nodeLeaseMs: LEASE_MS })
    const again = await TestNode.join(hub, settings, { name: 'a' })
    nodes.push(again)
    // The lease of the one that died runs on for a moment: it is asked in vain, which is no "offline".
    const old = await node(1).locate(laptop)
    if (old)
      await expect(node(1).cluster.push(old.node, laptop, new Uint8Array(1))).rejects.toThrow(StoreUnavailableError)
    expect(old?.node).not.toBe(again.node.incarnation)
    await again.hear(laptop, '192.0.2.1')
    expect(await isFoundAt(laptop, again, node(1))).toBe(true)
    await until(() => !node(1).node.others.has(node(0).node.incarnation), 'the lease of the first has lapsed')
    expect(await isFoundAt(laptop, again, node(1))).toBe(true)
    expect(again.forgotten).toEqual([])
  })

  it('take devices for offline once the lease of their node has lapsed, and back when they come to another', async () => {
    await node(0).hear(laptop, '192.0.2.1')
    node(0).kill()
    await until(async () => (await node(1).locate(laptop)) === undefined, 'the device is offline')
    await node(2).hear(laptop, '192.0.2.1')
    expect(await isFoundAt(laptop, node(2), node(1))).toBe(true)
  })

  it('never take a device for offline that hops between two of them at every heartbeat', async () => {
    const devices = ids(20)
    for (const id of devices) await node(0).hear(id, '192.0.2.1')
    let looks = 0
    let isOver = false
    const watching = (async () => {
      while (!isOver) {
        const found = await node(2).cluster.locate(devices)
        expect(found.every((location) => location !== undefined)).toBe(true)
        looks++
      }
    })()
    for (let heartbeat = 1; heartbeat <= 30; heartbeat++)
      await Promise.all(devices.map((id) => node(heartbeat % 2).hear(id, '192.0.2.1')))
    isOver = true
    await watching
    expect(looks).toBeGreaterThan(5)
    await until(() => node(1).forgotten.length === 15 * 20, 'every move was told')
    for (const id of devices) expect(await isFoundAt(id, node(0), node(2))).toBe(true)
  })

  it('agree on one owner after 200 moves back and forth at the same moment', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, move) => node(move % 2).hear(laptop, `192.0.2.${move % 2}`)))
    const holders = () => nodes.filter((one) => one.holds(laptop) !== undefined)
    await until(() => holders().length === 1, 'one node holds the device')
    expect(await isFoundAt(laptop, holders()[0] as TestNode, node(2))).toBe(true)
  })

  it('go on as before when Redis stood still for three leases', async () => {
    await node(0).hear(laptop, '192.0.2.1')
    redis.pause()
    await untilLeasesLapsed()
    await new Promise((resolve) => setTimeout(resolve, 2 * LEASE_MS))
    // While Redis is away the nodes are asked themselves.
    expect(await isFoundAt(laptop, node(0), node(1))).toBe(true)
    expect(nodes.some(({ cluster }) => cluster.isCutOff)).toBe(false)
    redis.resume()
    await until(async () => {
      expect(await isFoundAt(laptop, node(0), node(1))).toBe(true)
      return nodes.every(({ node }) => node.hasLease)
    }, 'all leases are renewed')
    expect(node(0).forgotten).toEqual([])
  })

  it('carry messages and answers while Redis is away, and do not say offline when a node is silent', async () => {
    await node(0).hear(laptop, '192.0.2.1')
    redis.pause()
    await until(() => nodes.every(({ connection }) => connection.state === 'away'), 'Redis is away')
    const place = await node(1).locate(laptop)
    expect(await node(1).cluster.push(place?.node ?? node(2).node.incarnation, laptop, new Uint8Array(1))).toBe(
      'pushed',
    )
    expect(node(2).cluster.awaitAnswers('192.0.2.9')).toBeUndefined()
    const handle = mangleAddress({ ip: '192.0.2.9', port: 1 }, 1)
    const from = { ip: '192.0.2.1', port: 1 }
    const answer = { kind: 'punch-hole-sent', handle, id: '', message: new Uint8Array(1), from } as const
    expect(await node(0).cluster.answer(answer)).toBe(true)
    hub.cut(node(2).node.incarnation)
    await expect(node(1).locate('nobody' as PeerId)).rejects.toThrow(StoreUnavailableError)
    expect((await node(1).locate(laptop))?.node).toBe(place?.node)
    redis.resume()
  })

  it('carry an answer to whoever began to wait while Redis was away, also when it is back', async () => {
    redis.pause()
    await until(() => nodes.every(({ connection }) => connection.state === 'away'), 'Redis is away')
    expect(node(2).cluster.awaitAnswers('192.0.2.9')).toBeUndefined()
    redis.resume()
    await until(() => nodes.every(({ connection }) => connection.state === 'up'), 'Redis is back')
    const handle = mangleAddress({ ip: '192.0.2.9', port: 1 }, 1)
    const from = { ip: '192.0.2.1', port: 1 }
    const answer = { kind: 'punch-hole-sent', handle, id: '', message: new Uint8Array(1), from } as const
    expect(await node(0).cluster.answer(answer)).toBe(true)
    expect(node(2).answers).toEqual([answer])
  })

  it('take no flood of answers and registrations to one another while Redis is away', async () => {
    redis.pause()
    await until(() => nodes.every(({ connection }) => connection.state === 'away'), 'Redis is away')
    const from = { ip: '192.0.2.1', port: 1 }
    const [handle, message] = [mangleAddress({ ip: '192.0.2.9', port: 1 }, 1), new Uint8Array(1)]
    const answers = Array.from({ length: 2_000 }, () =>
      node(0).cluster.answer({ kind: 'punch-hole-sent', handle, id: '', message, from }),
    )
    const recalls = ids(1_000).map((id) => node(0).cluster.recall(id))
    const taken = async (asked: readonly Promise<unknown>[]) =>
      (await Promise.allSettled(asked)).filter(({ status }) => status === 'fulfilled').length
    expect([await taken(answers), await taken(recalls)]).toEqual([1_000, 500])
    redis.resume()
  })

  it('write back what they hold when Redis comes back empty, and the larger version wins', async () => {
    const devices = ids(500)
    await Promise.all(devices.map((id, index) => node(index % 3).hear(id, `192.0.2.${index % 3}`)))
    hub.lost.add('forget')
    await node(0).hear(laptop, '192.0.2.1')
    await node(1).hear(laptop, '192.0.2.2')
    expect(node(0).holds(laptop)).toBeDefined()
    await redis.restart('empty')
    hub.lost.clear()
    await until(
      async () =>
        (await node(2).cluster.locate(devices)).filter(Boolean).length === devices.length - Math.floor(500 / 3),
      'every device is found again by a node that does not hold it',
    )
    await until(() => node(0).forgotten.includes(laptop), 'the node with the older claim has forgotten the device')
    expect(node(1).forgotten).toEqual([])
    expect(await isFoundAt(laptop, node(1), node(2))).toBe(true)
    const reader = await RedisConnection.open(redisSettings(redis.url))
    for (const [index, id] of devices.entries()) {
      const key = reader.keys.presence(id)
      await until(
        async () =>
          (await reader.command({ key, name: 'HGET', args: [key, 'o'] })) === node(index % 3).node.incarnation,
        `${id} is written back`,
      )
    }
    reader.close()
  })

  it('know of a relay that had no time yet to announce itself again when Redis comes back empty', async () => {
    const relay = {
      ...{ address: 'relay.example:21117', name: 'r', region: '', isDraining: false },
      ...{ capacityBitsPerSecond: 1, loadBitsPerSecond: 0 },
    }
    await node(0).node.announce(relay, 10 * LEASE_MS)
    await until(() => node(1).node.relays.length === 1, 'the relay is known')
    // Nobody announces it from here on.
    node(0).kill()
    let isBack = false
    const seen: number[] = []
    node(1).connection.onChange(({ kind }) => {
      isBack = kind === 'up'
    })
    node(1).node.onTurn(() => isBack && seen.push(node(1).node.relays.length))
    await redis.restart('empty')
    await until(() => seen.includes(0), 'the relay is forgotten in the end')
    expect(seen[0]).toBe(1)
  })

  it('make good what could not be written while Redis was away', async () => {
    await node(0).hear(laptop, '192.0.2.1')
    // Moments are told apart from a few milliseconds on.
    await new Promise((resolve) => setTimeout(resolve, 20))
    redis.pause()
    await expect(node(1).hear(laptop, '192.0.2.2')).rejects.toThrow(StoreUnavailableError)
    await until(() => node(0).forgotten.length === 1, 'the former node has been told')
    redis.resume()
    await until(
      async () =>
        (
          await node(2)
            .locate(laptop)
            .catch(() => undefined)
        )?.ip === '192.0.2.2',
      'the new place is known',
    )
    expect(node(1).forgotten).toEqual([])
  })

  it('are cut off when they alone have lost Redis, and not when all have', async () => {
    node(0).connection.close()
    await until(() => node(0).cluster.isCutOff, 'the node knows that it is cut off')
    expect(node(0).node.hasLease).toBe(false)
    expect(node(1).cluster.isCutOff).toBe(false)
    redis.pause()
    await until(() => !node(0).cluster.isCutOff && !node(1).node.hasLease, 'no node has Redis')
    expect(node(1).cluster.isCutOff).toBe(false)
    redis.resume()
  })
})
