import type { NodeId, PeerId } from '@tryst/rendezvous'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisReply } from './redis-lane.ts'
import type { KnownNode, NodeFacts } from './redis-node.ts'

/** Devices that are looked up at once. */
const BATCH = 500

/** Sees the nodes of a server and where its devices are, without being one of them: for the operator's commands. */
export class RedisOnlooker {
  /** @param connection stays the caller's */
  constructor(private readonly connection: RedisConnection) {}

  /** The nodes whose leases hold. */
  async nodes(): Promise<readonly KnownNode[]> {
    const { keys } = this.connection
    const leases = keys.nodes()
    const nowMs = this.connection.nowMs()
    const names = (await this.connection.command({
      key: leases,
      name: 'ZRANGEBYSCORE',
      args: [leases, nowMs, '+inf'],
    })) as readonly string[]
    if (names.length === 0) return []
    const infos = keys.nodeInfo()
    const texts = (await this.connection.command({
      key: infos,
      name: 'HMGET',
      args: [infos, ...names],
    })) as RedisReply[]
    return names.flatMap((name, index) => {
      const text = texts[index]
      return typeof text === 'string' ? [{ ...(JSON.parse(text) as NodeFacts), incarnation: name as NodeId }] : []
    })
  }

  /** For each device whether a living node has it. */
  async online(ids: readonly PeerId[]): Promise<readonly boolean[]> {
    const living = new Set<string>((await this.nodes()).map(({ incarnation }) => incarnation))
    const online: boolean[] = []
    for (let at = 0; at < ids.length; at += BATCH) {
      const owners = await this.connection.pipelined(
        ids.slice(at, at + BATCH).map((id) => {
          const key = this.connection.keys.presence(id)
          return { key, name: 'HGET', args: [key, 'o'] }
        }),
      )
      for (const owner of owners) {
        if (owner instanceof Error) throw owner
        online.push(living.has(String(owner)))
      }
    }
    return online
  }
}
