import type { Duplex } from 'node:stream'
import { formatAddress, NodeLinks, type StreamOpening } from '@tryst/node-link'
import { encodeBase64 } from '@tryst/protocol'
import type { ClusterConfig, Logger } from '@tryst/service'
import { nodeLabel, workerSiblings } from '@tryst/service'
import {
  drawIncarnation,
  NodeAnswers,
  type NodeFacts,
  type RedisConnection,
  RedisNode,
  type RedisSettings,
} from '@tryst/state-redis'
import { linkLog } from './link-log.ts'
import { describeNodeAddressError, isOutOfReach } from './node-address.ts'
import { openRedis } from './open-redis.ts'
import { RedisWatch } from './redis-watch.ts'
import { keepServerKey } from './server-key-keeper.ts'

export interface SharedNodeOptions {
  readonly role: NodeFacts['role']
  readonly config: ClusterConfig
  readonly redis: RedisSettings
  /** The server's, 64 bytes in libsodium's form: nodes trust one another by it. */
  readonly secretKey: Uint8Array
  readonly publicKey: Uint8Array
  /** Of the program. */
  readonly version: string
  readonly log: Logger
  /** A relay brings a half that one of ours waits for. Default: none waits. */
  readonly onStream?: (opening: StreamOpening, stream: Duplex) => boolean
}

const LOOPBACK_WARNING =
  'one of two nodes says that it is reached at a loopback address: set NODE_ADDRESS there to one that the other reaches'

/** A process as one of several nodes: its connection to Redis, its lease there, its links to the others. */
export class SharedNode {
  #closed = false

  private constructor(
    readonly connection: RedisConnection,
    readonly node: RedisNode,
    readonly links: NodeLinks,
    /** What this node tells others; whoever knows something attaches itself. */
    readonly answers: NodeAnswers,
    /** Whether Redis is still what it has to be. */
    readonly redis: RedisWatch,
  ) {}

  /** @throws SharedStateError when Redis is not there or unfit, or NODE_ADDRESS cannot be listened on */
  static async open(options: SharedNodeOptions): Promise<SharedNode> {
    const { role, config, redis, secretKey, publicKey, version, log, onStream } = options
    const { connection, warnings } = await openRedis(redis, options)
    try {
      const name = nodeLabel(config)
      const incarnation = drawIncarnation()
      const answers = new NodeAnswers()
      const { nodeAddress } = config
      const host = nodeAddress?.host ?? connection.localAddress ?? '127.0.0.1'
      const listen = { host, port: nodeAddress?.port ?? 0 }
      const links = await NodeLinks.open({
        ...{ secretKey, incarnation, name, version, handle: answers, listen },
        onStream: onStream ?? (() => false),
        events: linkLog(log),
      }).catch(async (error: unknown) => {
        throw await describeNodeAddressError(error, listen)
      })
      // A name stays a name: what it stands for may change.
      const port = Number(links.address.slice(links.address.lastIndexOf(':') + 1))
      const siblings = workerSiblings()
      const workers = siblings && { group: siblings.group, worker: siblings.worker }
      const facts = { role, name, address: formatAddress(host, port), version, workers }
      const node = new RedisNode(connection, facts, {
        incarnation,
        events: {
          nodeSeen: ({ name, address }) => {
            log.info({ node: name, address }, 'node seen')
            if (isOutOfReach(address, facts.address))
              log.warn({ node: name, address, own: facts.address }, LOOPBACK_WARNING)
          },
          nodeGone: ({ name, address }) => log.warn({ node: name, address }, 'node gone'),
          leaseNotRenewed: (err) => log.warn({ err }, 'Redis is away: this node could not renew its lease'),
        },
      })
      connection.onChange((event) => {
        if (event.kind === 'up' && !event.isFirst) log.info('Redis is back')
        if (event.kind === 'lost-data-suspected') log.warn({ reason: event.reason }, 'Redis may have lost data')
      })
      const ownKey = encodeBase64(publicKey)
      keepServerKey({ connection, node }, ownKey, (stored) =>
        log.error({ ownKey, stored, remedy: 'stop the servers of one of both' }, 'Redis has the key of another server'),
      )
      log.info({ node: name, address: facts.address }, 'taking part as a node')
      const watch = new RedisWatch({ connection, log, known: warnings })
      return new SharedNode(connection, node, links, answers, watch)
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** Leaves the others. May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.redis.close()
    await this.node.withdraw()
    this.links.close()
    this.connection.close()
  }
}
