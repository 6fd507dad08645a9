import { afterAll, beforeAll, describe } from '@jest/globals'
import { clusterContract, relayDirectoryContract } from '@tryst/rendezvous/contract'
import {
  NodeAnswers,
  RedisCluster,
  RedisConnection,
  RedisNode,
  RedisRelayAnnouncer,
  RedisRelayDirectory,
} from '../src/index.ts'
import { LinkHub } from './link-hub.ts'
import { startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `several nodes on one Redis (skipped: ${whyNoRedis})`]
  : [describe, 'several nodes on one Redis']

suite(name, () => {
  let redis: TestRedis

  beforeAll(async () => {
    redis = await startTestRedis()
  })
  afterAll(() => redis.stop())

  clusterContract('RedisCluster', async (nodes) => {
    const settings = redis.settings()
    const hub = new LinkHub()
    const connections: RedisConnection[] = []
    const clusters: RedisCluster[] = []
    for (let index = 0; index < nodes; index++) {
      const connection = await RedisConnection.open(settings)
      const facts = { role: 'id-server', name: `n${index}`, address: `n${index}:1`, version: '1' } as const
      const node = new RedisNode(connection, facts)
      const answers = new NodeAnswers()
      connections.push(connection)
      clusters.push(new RedisCluster({ connection, node, answers, links: hub.enter(node.incarnation, answers) }))
    }
    const dispose = async () => {
      for (const connection of connections) connection.close()
    }
    return { clusters, dispose }
  })

  relayDirectoryContract('RedisRelayDirectory', async () => {
    const settings = redis.settings()
    const connections = [await RedisConnection.open(settings), await RedisConnection.open(settings)] as const
    const facts = { name: 'a', address: 'a:1', version: '1' }
    const idServer = new RedisNode(connections[0], { ...facts, role: 'id-server' })
    const relay = new RedisNode(connections[1], { ...facts, role: 'relay' })
    await idServer.start()
    await relay.start()
    return {
      directory: new RedisRelayDirectory(idServer),
      announcer: new RedisRelayAnnouncer(relay),
      passTime: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      dispose: async () => {
        await relay.withdraw()
        await idServer.withdraw()
        for (const connection of connections) connection.close()
      },
    }
  })
})
