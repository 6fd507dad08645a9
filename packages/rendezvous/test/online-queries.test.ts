import { expect, it } from '@jest/globals'
import { encodeRendezvous } from '@tryst/protocol'
import { TestBench, TestConnection } from './test-bench.ts'
import { TestCluster } from './test-cluster.ts'

const query = encodeRendezvous({ onlineRequest: { id: '1', peers: ['123456789'] } })

it.each(['anyone', 'registered'] as const)(
  'one connection has one online query under way at a time, where %s may ask',
  async (allowControl) => {
    const cluster = new TestCluster()
    const bench = new TestBench({ allowControl }, { cluster })
    const connection = new TestConnection({ ip: '198.51.100.66', port: 7_000 })
    cluster.devicesElsewhere.add('198.51.100.66')
    // It stays open, so that it could ask again and again.
    bench.server.onMessage(connection, encodeRendezvous({ hc: { token: 'any' } }))
    for (let n = 0; n < 100; n++) bench.server.onMessage(connection, query)
    await bench.settled()
    expect(cluster.asked.filter((asked) => asked.startsWith('locate'))).toHaveLength(1)
    expect(connection.received).toHaveLength(1)
    bench.server.onMessage(connection, query)
    await bench.settled()
    expect(connection.received).toHaveLength(2)
  },
)
