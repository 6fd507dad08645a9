import {
  type AccessStore,
  type IdentityStore,
  type ListedDevice,
  type PeerId,
  StoreUnavailableError,
} from '@tryst/rendezvous'
import type { DeviceRow } from './administration.ts'

/** A device that is registered. */
export interface KnownDevice {
  readonly id: PeerId
  readonly ip: string
  readonly createdMs: number | undefined
}

export interface DeviceListParts {
  readonly identities: Pick<IdentityStore, 'find'>
  readonly access: AccessStore
  readonly known: () => AsyncIterable<readonly KnownDevice[]>
  readonly online: (ids: readonly PeerId[]) => Promise<readonly boolean[]>
}

/** Those that wait for a word, then those that were decided about or invited, then those that are registered. */
export async function* listDevices(
  { identities, access, known, online }: DeviceListParts,
  state?: DeviceRow['state'],
): AsyncGenerator<DeviceRow> {
  const notes = await access.notes()
  const noteOf = (id: PeerId) => notes.get(id) ?? ''
  const wants = (candidate: DeviceRow['state']) => state === undefined || state === candidate
  const listed = await stillAsking(await access.listed(), identities)
  for (const wanted of ['pending', 'approved', 'refused'] as const) {
    if (!wants(wanted)) continue
    for (const device of listed) {
      if (device.state !== wanted) continue
      const { id, ip, why, uuid, key, firstSeenMs, lastSeenMs } = device
      yield { id, state: wanted, ip, note: noteOf(id), why, uuid, key, sinceMs: firstSeenMs, lastSeenMs }
    }
  }
  if (wants('invited'))
    for (const { id, createdMs } of await access.invites())
      yield { id, state: 'invited', ip: '', note: noteOf(id), sinceMs: createdMs }
  if (!wants('known')) return
  for await (const batch of known()) {
    const isOnline = await onlineOf(
      batch.map(({ id }) => id),
      online,
    )
    for (const [index, { id, ip, createdMs }] of batch.entries()) {
      const there = isOnline?.[index]
      yield {
        ...{ id, state: 'known', ip, note: noteOf(id) },
        ...(createdMs === undefined ? {} : { sinceMs: createdMs }),
        ...(there === undefined ? {} : { online: there }),
      }
    }
  }
}

/** A device that asked for an id may have registered while everybody could, or by way of another server. */
async function stillAsking(
  listed: readonly ListedDevice[],
  identities: DeviceListParts['identities'],
): Promise<readonly ListedDevice[]> {
  const asking: ListedDevice[] = []
  for (const device of listed)
    if (device.why === 'key-changed' || !(await identities.find(device.id))) asking.push(device)
  return asking
}

async function onlineOf(ids: readonly PeerId[], online: DeviceListParts['online']) {
  try {
    return await online(ids)
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error
    return undefined
  }
}
