import { RedisKeys } from '@tryst/state-redis'
import { Redis } from 'ioredis'

/** Where Redis says that a device is. */
export interface Owner {
  /** Incarnation of a node. */
  readonly node: string
  readonly version: number
}

const keys = new RedisKeys('tryst:')
const BATCH = 1_000

/** What stands in Redis, seen by a bystander. */
export class RedisView {
  private constructor(private readonly redis: Redis) {}

  static async open(port: number): Promise<RedisView> {
    const redis = new Redis({
      port,
      host: '127.0.0.1',
      lazyConnect: true,
      connectTimeout: 1_000,
      maxRetriesPerRequest: 1,
    })
    // While Redis is away this view says so with the command that it was asked for.
    redis.on('error', () => undefined)
    await redis.connect()
    return new RedisView(redis)
  }

  /** Names of the nodes whose leases stand, by incarnation. */
  async livingNodes(): Promise<Map<string, string>> {
    const [living, infos] = await Promise.all([
      this.redis.zrange(keys.nodes(), '0', '-1'),
      this.redis.hgetall(keys.nodeInfo()),
    ])
    return new Map(living.map((node) => [node, String(JSON.parse(infos[node] ?? '{}').name)]))
  }

  /** Names of the nodes that say of themselves that they are leaving. */
  async leavingNodes(): Promise<string[]> {
    const infos = Object.values(await this.redis.hgetall(keys.nodeInfo()))
    return infos.flatMap((text) => {
      const { name, isLeaving } = JSON.parse(text)
      return isLeaving === true ? [String(name)] : []
    })
  }

  /** Who holds each of these devices; those that nobody holds are missing. */
  async owners(ids: Iterable<string>): Promise<Map<string, Owner>> {
    const wanted = [...ids]
    const pipeline = this.redis.pipeline()
    for (const id of wanted) pipeline.hmget(keys.presence(id), 'o', 'v')
    const replies = (await pipeline.exec()) ?? []
    const owners = new Map<string, Owner>()
    for (const [index, [error, row]] of replies.entries()) {
      if (error) throw error
      const [node, version] = row as [string | null, string | null]
      if (node !== null) owners.set(wanted[index] ?? '', { node, version: Number(version) })
    }
    return owners
  }

  /** The names of those nodes, by device. */
  async ownersByName(ids: Iterable<string>): Promise<Map<string, string>> {
    const [nodes, owners] = await Promise.all([this.livingNodes(), this.owners(ids)])
    const named = [...owners].flatMap(([id, { node }]) => {
      const name = nodes.get(node)
      return name === undefined ? [] : [[id, name] as const]
    })
    return new Map(named)
  }

  /** Uuid and public key of each device that is stored. */
  async identities(): Promise<Map<string, { uuid: Buffer; publicKey: Buffer }>> {
    const found = new Map<string, { uuid: Buffer; publicKey: Buffer }>()
    for await (const batch of this.redis.scanStream({ match: `${keys.prefix}*:peer:*`, count: BATCH })) {
      const pipeline = this.redis.pipeline()
      for (const key of batch as string[]) pipeline.hmgetBuffer(key, 'uuid', 'pk')
      const rows = (await pipeline.exec()) ?? []
      for (const [index, [error, row]] of rows.entries()) {
        if (error) throw error
        const [uuid, publicKey] = row as [Buffer, Buffer]
        const key = (batch as string[])[index] ?? ''
        found.set(key.slice(key.lastIndexOf(':') + 1), { uuid, publicKey })
      }
    }
    return found
  }

  /** The server's public key as the nodes compare it. */
  serverKey(): Promise<string | null> {
    return this.redis.get(keys.serverKey())
  }

  close(): void {
    this.redis.disconnect()
  }
}
