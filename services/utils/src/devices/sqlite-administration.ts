import { type Administration, DeviceAdministration } from '@tryst/device-admin'
import type { DeviceToolConfig } from '@tryst/service'
import { listPeers, SqliteAccessStore, SqliteIdentityStore } from '@tryst/state-sqlite'

/** The devices of a server that does not run. @throws DatabaseOpenError */
export function openSqliteAdministration(path: string, config: DeviceToolConfig): Administration {
  const { accessMode, idMaxBytes, uuidMaxBytes, oldIdHoldMs } = config
  const identities = new SqliteIdentityStore({ path, durability: 'full' })
  const access = new SqliteAccessStore(path)
  return new DeviceAdministration({
    ...{ mode: accessMode, identities, access, idMaxBytes, uuidMaxBytes, holdMs: oldIdHoldMs, clock: Date.now },
    known: () => listPeers(path),
    online: async (ids) => ids.map(() => false),
    dismiss: async () => {},
    async close() {
      access.close()
      await identities.close()
    },
  })
}
