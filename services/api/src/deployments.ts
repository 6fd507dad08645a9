import type { Administration } from '@tryst/device-admin'
import { type ApiConfig, type Logger, redisPlace } from '@tryst/service'
import type { Deployments } from './ports.ts'

/** Until the lease of a node counts; the API is none. */
const NODE_LEASE_MS = 6_000
/** What is remembered of devices that were deployed just now. */
const MAX_DEVICES = 10_000

type DeploymentConfig = Pick<
  ApiConfig,
  | 'accessMode'
  | 'adminSocket'
  | 'idMaxBytes'
  | 'uuidMaxBytes'
  | 'redisUrl'
  | 'redisSentinels'
  | 'redisSentinelName'
  | 'redisSentinelPassword'
  | 'redisCluster'
  | 'redisPrefix'
  | 'redisRequireReplica'
>

/**
 * Registers devices that deploy themselves: by way of the ID server whose admin socket lies here, else in the Redis that
 * the ID servers share. Nothing of either is looked for, or loaded, before the first device comes.
 */
export class StateDeployments implements Deployments {
  #redis: Promise<Administration> | undefined

  constructor(
    private readonly config: DeploymentConfig,
    private readonly log: Logger,
  ) {}

  deploy: Deployments['deploy'] = async (request) => {
    const { AdministrationError, NoServerError } = await import('@tryst/device-admin')
    try {
      return await this.#deploy(request)
    } catch (error) {
      if (!(error instanceof AdministrationError || error instanceof NoServerError)) throw error
      const remedy = 'the API needs ADMIN_SOCKET in the folder of the ID server, or the Redis of the ID servers'
      this.log.error({ err: error, remedy }, 'a device could not be deployed')
      return 'unavailable'
    }
  }

  async close(): Promise<void> {
    await (await this.#redis?.catch(() => undefined))?.close()
  }

  async #deploy(request: Parameters<Deployments['deploy']>[0]) {
    const { adminSocket, accessMode } = this.config
    const { AdminClient, NoServerError } = await import('@tryst/device-admin')
    try {
      if (adminSocket !== 'none') return await new AdminClient(adminSocket).deploy(request)
    } catch (error) {
      if (!(error instanceof NoServerError)) throw error
    }
    if (accessMode === 'open') return 'NOT_ENABLED'
    if (redisPlace(this.config)) return (await this.#openRedis()).deploy(request)
    throw new NoServerError(`no ID server answers at ${adminSocket}, and no setting says where Redis is`)
  }

  #openRedis(): Promise<Administration> {
    this.#redis ??= openRedis(this.config).catch((error: unknown) => {
      this.#redis = undefined
      throw error
    })
    return this.#redis
  }
}

async function openRedis(config: DeploymentConfig): Promise<Administration> {
  const { AdministrationError, DeviceAdministration, NoServerError } = await import('@tryst/device-admin')
  const { redisSettings } = await import('@tryst/shared-node')
  const { RedisAccessStore, RedisConnection, RedisIdentityStore } = await import('@tryst/state-redis')
  const settings = redisSettings({ ...config, nodeLeaseMs: NODE_LEASE_MS })
  if (!settings) throw new NoServerError('no setting says where Redis is')
  const connection = await RedisConnection.open(settings, { label: 'tryst-api', epoch: 'leave' }).catch(
    (error: unknown) => {
      throw new AdministrationError('unavailable', 'Redis cannot be reached', { cause: error })
    },
  )
  const identities = await RedisIdentityStore.open(connection, { maxDevices: MAX_DEVICES })
  const { accessMode: mode, idMaxBytes, uuidMaxBytes } = config
  return new DeviceAdministration({
    ...{ mode, identities, idMaxBytes, uuidMaxBytes, holdMs: 0, clock: Date.now },
    access: new RedisAccessStore(connection),
    // Nothing is shown here, and nothing removed.
    known: async function* () {},
    online: async (ids) => ids.map(() => false),
    dismiss: async () => {},
    async close() {
      await identities.close()
      connection.close()
    },
  })
}
