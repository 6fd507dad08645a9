import { describe, expect, it } from '@jest/globals'
import { createLogger } from '@tryst/service'
import { RedisConnection } from '@tryst/state-redis'
import { startRedisServer, whyNoRedisServer } from '../../state-redis/test/redis-server.ts'
import { RedisWatch } from './redis-watch.ts'

const suite = whyNoRedisServer === undefined ? describe : describe.skip
const why = whyNoRedisServer === undefined ? '' : ` (${whyNoRedisServer})`

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10))
}

suite(`a Redis that is changed while nodes use it${why}`, () => {
  it('is told of with the remedy, once, and so is that it was put right', async () => {
    const server = await startRedisServer()
    const settings = {
      url: server.url,
      sentinels: [],
      sentinelName: '',
      cluster: [],
      prefix: 'tryst:',
      nodeLeaseMs: 6_000,
    }
    const connection = await RedisConnection.open(settings)
    const lines: { level: string; msg: string }[] = []
    const log = createLogger({
      ...{ service: 'test', level: 'info', format: 'json' },
      destination: { write: (line: string) => lines.push(JSON.parse(line)) },
    })
    const watch = new RedisWatch({ connection, log, known: [] })
    const set = (name: string, value: string) =>
      connection.command({ key: 'any', name: 'CONFIG', args: ['SET', name, value] })
    try {
      await watch.look()
      expect([lines, watch.problems]).toEqual([[], { error: 0, warning: 0 }])
      await set('appendonly', 'no')
      await set('maxmemory-policy', 'volatile-lru')
      await watch.look()
      await watch.look()
      expect(lines.map(({ msg }) => msg)).toEqual([
        expect.stringMatching(/maxmemory-policy volatile-lru; set maxmemory-policy noeviction/),
        expect.stringMatching(/no append-only file .* set appendonly yes/),
      ])
      expect(watch.problems).toEqual({ error: 1, warning: 1 })
      await set('maxmemory-policy', 'noeviction')
      await set('appendonly', 'yes')
      await watch.look()
      expect(lines.slice(2).map(({ msg }) => msg)).toEqual([
        expect.stringMatching(/^put right: .*noeviction/),
        expect.stringMatching(/^put right: .*append-only/),
      ])
      // Another server in its place, after a restart with other settings.
      lines.length = 0
      await server.kill()
      await until(() => connection.state === 'away')
      await server.restart('empty')
      await until(() => connection.state === 'up')
      await watch.look()
      expect(watch.problems).toEqual({ error: 0, warning: 0 })
    } finally {
      watch.close()
      connection.close()
      await server.stop()
    }
  })
})
