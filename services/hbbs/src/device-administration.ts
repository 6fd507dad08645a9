import { type Administration, DeviceAdministration } from '@tryst/device-admin'
import type { PeerId, RendezvousServer } from '@tryst/rendezvous'
import type { HbbsConfig } from '@tryst/service'
import type { State } from './state.ts'

/** What operators do with the devices of this server and, where there are others, of all of them. */
export function administrationOf(
  { accessMode, idMaxBytes, uuidMaxBytes, oldIdHoldMs }: HbbsConfig,
  { identities, access, known, cluster }: State,
  server: RendezvousServer,
): Administration {
  return new DeviceAdministration({
    ...{ mode: accessMode, identities, access, known, idMaxBytes, uuidMaxBytes, holdMs: oldIdHoldMs, clock: Date.now },
    online: async (ids) => {
      const nowMs = Date.now()
      const here = ids.map((id) => server.presence.isOnline(id, nowMs))
      const elsewhere: PeerId[] = cluster.isAlone ? [] : ids.filter((_, index) => !here[index])
      if (elsewhere.length === 0) return here
      const found = await cluster.locate(elsewhere)
      const there = new Set(elsewhere.filter((_, index) => found[index] !== undefined))
      return ids.map((id, index) => here[index] === true || there.has(id))
    },
    dismiss: async (id) => {
      server.dismiss(id)
      await cluster.dismiss(id)
    },
  })
}
