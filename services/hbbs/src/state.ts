import type { KnownDevice } from '@tryst/device-admin'
import { decodeBase64 } from '@tryst/protocol'
import {
  type AccessStore,
  type Cluster,
  type IdentityStore,
  noTickets,
  type RelayDirectory,
  type RelayTickets,
  type TraceStore,
} from '@tryst/rendezvous'
import {
  type HbbsConfig,
  type LoadedKeyPair,
  type Logger,
  packageVersion,
  ticketsGoThroughParent,
} from '@tryst/service'
import { redisSettings, SharedNode } from '@tryst/shared-node'
import {
  RedisAccessStore,
  RedisCluster,
  RedisIdentityArchive,
  RedisIdentityStore,
  RedisRelayDirectory,
  RedisTickets,
  RedisTraceStore,
} from '@tryst/state-redis'
import {
  InProcessRelayDirectory,
  LoneNode,
  listPeers,
  SqliteAccessStore,
  SqliteIdentityStore,
  SqliteTraceStore,
  traceFile,
} from '@tryst/state-sqlite'
import { parentTickets } from './parent-tickets.ts'

/** What this server remembers, and who shares it. */
export interface State {
  readonly identities: IdentityStore
  /** All devices that are stored, some at a time. */
  readonly known: () => AsyncIterable<readonly KnownDevice[]>
  /** What operators have said of devices. */
  readonly access: AccessStore
  readonly cluster: Cluster
  readonly announcedRelays: RelayDirectory
  readonly tickets: RelayTickets
  /** Nothing is kept before something is written. */
  readonly trace: TraceStore
  /** Where the state is shared: what is known of Redis and of other nodes. */
  readonly shared?: SharedNode
  /** After everything that uses it. May be called twice. */
  close(): Promise<void>
}

/** What the settings ask for: an SQLite file and nobody else, or a Redis and the nodes that share it. */
export async function openState(config: HbbsConfig, keys: LoadedKeyPair, log: Logger): Promise<State> {
  const redis = redisSettings(config)
  if (redis === undefined) return openOwnState(config, log)
  const { secretKey, publicKey } = keys
  const publicBytes = decodeBase64(publicKey ?? '')
  if (!secretKey || !publicBytes) throw new Error('nodes that share their state have a key pair')
  const shared = await SharedNode.open({
    ...{ role: 'id-server', config, redis, secretKey, publicKey: publicBytes, version: packageVersion, log },
  })
  try {
    return await openSharedState(shared, config, log)
  } catch (error) {
    await shared.close()
    throw error
  }
}

function openOwnState(config: HbbsConfig, log: Logger): State {
  const identities = new SqliteIdentityStore({ path: config.dbPath, durability: config.sqliteSync })
  const access = new SqliteAccessStore(config.dbPath)
  log.info({ path: config.dbPath, devices: identities.count() }, 'database open')
  return {
    identities,
    known: () => listPeers(config.dbPath),
    access,
    cluster: new LoneNode(),
    announcedRelays: new InProcessRelayDirectory(Date.now),
    tickets: ticketsGoThroughParent() ? parentTickets : noTickets,
    trace: new SqliteTraceStore(traceFile(config.dbPath), config.traceKeepMs),
    async close() {
      access.close()
      await identities.close()
    },
  }
}

async function openSharedState(
  shared: SharedNode,
  { maxDevices, traceKeepMs }: HbbsConfig,
  log: Logger,
): Promise<State> {
  const { connection, node, links, answers } = shared
  const cluster = new RedisCluster({ connection, node, links, answers })
  const identities = await RedisIdentityStore.open(connection, {
    maxDevices,
    askOthers: (id) => cluster.recall(id),
    events: {
      contradicted: (id, acknowledged, stored) =>
        log.error(
          { id, acknowledged: acknowledged.ip, stored: stored.ip, remedy: 'compare both, then import --replace' },
          'Redis has another uuid or key for a device than this server acknowledged',
        ),
      restored: (count) => log.warn({ count }, 'wrote devices back that Redis had lost'),
    },
  })
  answers.recall = (id) => identities.recall(id)
  return {
    identities,
    known: () => new RedisIdentityArchive(connection).exportBatches(),
    access: new RedisAccessStore(connection),
    cluster,
    announcedRelays: new RedisRelayDirectory(node),
    tickets: new RedisTickets(connection),
    trace: new RedisTraceStore(connection, traceKeepMs),
    shared,
    async close() {
      await identities.close()
      await shared.close()
    },
  }
}
