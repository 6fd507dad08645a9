import { type Administration, DeviceAdministration } from '@tryst/device-admin'
import { NodeLinks } from '@tryst/node-link'
import { type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { type DeviceToolConfig, loadKeyPair, packageVersion } from '@tryst/service'
import {
  drawIncarnation,
  RedisAccessStore,
  RedisIdentityArchive,
  RedisIdentityStore,
  RedisOnlooker,
} from '@tryst/state-redis'
import { openSharedRedis, type Surroundings } from '../shared-redis.ts'

export interface RedisAdministrationInput extends Surroundings {
  readonly redisFlags: ReadonlyMap<string, string>
}

const NAME = 'tryst'
/** What this command remembers of devices while it runs. */
const MAX_DEVICES = 10_000

/** The devices of all servers that share a Redis. @throws UsageError, ConfigError, RedisUnreachableError */
export async function openRedisAdministration(
  config: DeviceToolConfig,
  input: RedisAdministrationInput,
): Promise<Administration> {
  const { accessMode, idMaxBytes, uuidMaxBytes, oldIdHoldMs } = config
  const connection = await openSharedRedis(input.redisFlags, input, 'leave')
  const identities = await RedisIdentityStore.open(connection, { maxDevices: MAX_DEVICES })
  const onlooker = new RedisOnlooker(connection)
  return new DeviceAdministration({
    ...{ mode: accessMode, identities, idMaxBytes, uuidMaxBytes, holdMs: oldIdHoldMs, clock: Date.now },
    access: new RedisAccessStore(connection),
    known: () => new RedisIdentityArchive(connection).exportBatches(),
    online: (ids) => onlooker.online(ids),
    dismiss: (id) => tellServers(id, onlooker, config, input.cwd),
    async close() {
      await identities.close()
      connection.close()
    },
  })
}

/** Over the connections that the servers have among themselves, which takes the key that they share. */
async function tellServers(
  id: PeerId,
  onlooker: RedisOnlooker,
  { key }: DeviceToolConfig,
  folder: string,
): Promise<void> {
  const servers = (await onlooker.nodes()).filter(({ role }) => role === 'id-server')
  if (servers.length === 0) return
  const links = await openLinks(key, folder)
  try {
    const told = await Promise.allSettled(servers.map((server) => links.dismiss(server, id)))
    const silent = servers.filter((_, index) => told[index]?.status === 'rejected').map(({ name }) => name)
    if (silent.length > 0) throw new StoreUnavailableError(`${silent.join(', ')} did not answer`)
  } finally {
    links.close()
  }
}

async function openLinks(key: string, folder: string): Promise<NodeLinks> {
  const keys = await loadKeyPair({ key, use: 'sign', folder, pair: 'shared' }).catch((error: unknown) => {
    throw new StoreUnavailableError('the key pair of the servers is not here', { cause: error })
  })
  if (!keys.secretKey) throw new StoreUnavailableError('the secret key of the servers is not here')
  return NodeLinks.open({
    ...{ secretKey: keys.secretKey, incarnation: drawIncarnation(), name: NAME, version: packageVersion },
    listen: { host: '127.0.0.1', port: 0 },
    onStream: () => false,
    handle: {
      push: () => 'not-mine',
      forget: () => {},
      holds: (ids) => ids.map(() => undefined),
      answer: async () => false,
      ticketFor: () => undefined,
      hasStore: () => false,
      recall: () => undefined,
      hasDeviceInNetwork: () => false,
      dismiss: () => {},
    },
    events: { opened: () => {}, lost: () => {}, refused: () => {}, unreachable: () => {} },
  })
}
