import {
  type AccessMode,
  type AccessStore,
  type IdentityStore,
  type ListedDevice,
  MIN_REGISTERED_ID_BYTES,
  type PeerId,
  StoreUnavailableError,
} from '@tryst/rendezvous'
import {
  type Administration,
  AdministrationError,
  type DeployRequest,
  type DeployResult,
  type DeviceRow,
  type Done,
  type TokenLimits,
  type TokenRow,
} from './administration.ts'
import { drawToken, drawTokenName, hashToken } from './deploy-tokens.ts'
import { deployDevice } from './deployment.ts'
import { type KnownDevice, listDevices } from './device-list.ts'

export interface DeviceAdministrationParts {
  readonly mode: AccessMode
  readonly identities: Pick<IdentityStore, 'find' | 'create' | 'rename' | 'remove'>
  readonly access: AccessStore
  /** All devices that are registered, some at a time. */
  readonly known: () => AsyncIterable<readonly KnownDevice[]>
  /** For each whether it is online on some server. Rejects with StoreUnavailableError where that can't be told. */
  readonly online: (ids: readonly PeerId[]) => Promise<readonly boolean[]>
  /** Every server drops a device that was removed or renamed. Rejects where one could not be told. */
  readonly dismiss: (id: PeerId) => Promise<void>
  readonly idMaxBytes: number
  readonly uuidMaxBytes: number
  /** How long nobody else gets the id that a renamed device had. */
  readonly holdMs: number
  readonly clock: () => number
  /** Lets go of what the parts are made of. */
  readonly close?: () => Promise<void>
}

const LONGEST_NOTE = 300
const TOKEN_NAME = /^[\w.-]{1,64}$/
const HAS_CONTROL = /\p{Cc}/u

/** What operators do with devices, over the state itself. */
export class DeviceAdministration implements Administration {
  constructor(private readonly parts: DeviceAdministrationParts) {}

  list(state?: DeviceRow['state']): AsyncIterable<DeviceRow> {
    return listDevices(this.parts, state)
  }

  approve(id: string, fingerprint = ''): Promise<ListedDevice> {
    return this.#decide(id, fingerprint, 'approved')
  }

  refuse(id: string, fingerprint = ''): Promise<ListedDevice> {
    return this.#decide(id, fingerprint, 'refused')
  }

  async invite(id: string): Promise<{ readonly mode: AccessMode }> {
    const { identities, access, clock, mode } = this.parts
    const peerId = this.#checkedId(id)
    return guarded(async () => {
      if (await identities.find(peerId)) throw taken(id, 'is a device already, which needs no invitation')
      await access.invite(peerId, clock())
      return { mode }
    })
  }

  async remove(id: string): Promise<Done> {
    const { identities, access } = this.parts
    const peerId = id as PeerId
    const { isGone, isForgotten } = await guarded(async () => ({
      isGone: await identities.remove(peerId),
      isForgotten: await access.forget(peerId),
    }))
    if (!isGone && !isForgotten) throw unknown(id)
    return this.#dismiss(peerId)
  }

  async rename(id: string, to: string): Promise<Done> {
    const { identities, access, holdMs } = this.parts
    const from = id as PeerId
    const wanted = this.#checkedId(to)
    await guarded(async () => {
      const device = await identities.find(from)
      if (!device) throw unknown(id)
      if (device.movedTo) throw new AdministrationError('taken', `${id} has been renamed to ${device.movedTo} already`)
      const outcome = await identities.rename({ from, to: wanted, uuid: device.uuid, holdMs })
      if (outcome === 'taken') throw taken(to, 'belongs to another device, or did until a short while ago')
      if (outcome === 'not-its-own') throw unknown(id)
      await access.rename(from, wanted)
    })
    return this.#dismiss(from)
  }

  async note(id: string, note: string): Promise<void> {
    const { identities, access } = this.parts
    if (note.length > LONGEST_NOTE || HAS_CONTROL.test(note))
      throw new AdministrationError('invalid', `a note is one line of up to ${LONGEST_NOTE} characters`)
    await guarded(async () => {
      const peerId = id as PeerId
      const isInvited = async () => (await access.invites()).some((invite) => invite.id === id)
      if (note !== '' && !(await identities.find(peerId)) && !(await isInvited())) throw unknown(id)
      await access.setNote(peerId, note)
    })
  }

  async createToken({ name = drawTokenName(), lifetimeMs, uses }: TokenLimits) {
    const { access, clock } = this.parts
    if (!TOKEN_NAME.test(name))
      throw new AdministrationError('invalid', `${name}: a name has up to 64 letters, digits, dots, - and _`)
    const token = drawToken()
    const createdMs = clock()
    const expiresMs = lifetimeMs === undefined ? undefined : createdMs + lifetimeMs
    const row: TokenRow = { name, createdMs, expiresMs, usesLeft: uses, used: 0 }
    const isNew = await guarded(() => access.addToken({ ...row, hash: hashToken(token) }))
    if (!isNew) throw taken(name, 'is the name of a deploy token already; revoke that one first, or take another name')
    return { ...row, token }
  }

  async tokens(): Promise<readonly TokenRow[]> {
    const tokens = await guarded(() => this.parts.access.tokens())
    return tokens.map(({ hash: _, ...row }) => row)
  }

  async revokeToken(name: string): Promise<void> {
    if (await guarded(() => this.parts.access.revokeToken(name))) return
    throw new AdministrationError('not-found', `there is no deploy token ${name}; see deploy-token list`)
  }

  deploy(request: DeployRequest): Promise<DeployResult> {
    return guarded(() => deployDevice(this.parts, request))
  }

  async close(): Promise<void> {
    await this.parts.close?.()
  }

  async #decide(id: string, fingerprint: string, verdict: 'approved' | 'refused'): Promise<ListedDevice> {
    const { access, clock } = this.parts
    return guarded(async () => {
      const wanted = fingerprint.replaceAll(/[^\da-f]/gi, '').toLowerCase()
      const asking = (await access.listed()).filter((device) => device.id === id && device.uuid.startsWith(wanted))
      // Who waits is meant before who was decided about.
      const open = asking.filter(({ state }) => state === 'pending')
      const [device, ...others] = open.length > 0 ? open : asking.filter(({ state }) => state !== verdict)
      if (!device) throw nobodyAsks(id, asking.length > 0 ? verdict : undefined)
      if (others.length > 0) throw severalAsk(id, [device, ...others])
      if (!(await access.decide(device, verdict, clock()))) throw nobodyAsks(id)
      return { ...device, state: verdict }
    })
  }

  /** What was done stands, whether or not everybody hears of it. */
  async #dismiss(id: PeerId): Promise<Done> {
    try {
      await this.parts.dismiss(id)
      return {}
    } catch (error) {
      return { untold: error instanceof Error ? error.message : String(error) }
    }
  }

  #checkedId(id: string): PeerId {
    const bytes = Buffer.byteLength(id)
    const { idMaxBytes } = this.parts
    if (bytes >= MIN_REGISTERED_ID_BYTES && bytes <= idMaxBytes && !HAS_CONTROL.test(id)) return id as PeerId
    const form = `an id has ${MIN_REGISTERED_ID_BYTES} to ${idMaxBytes} bytes`
    throw new AdministrationError('invalid', `${JSON.stringify(id)} can't be an id: ${form}, and no control characters`)
  }
}

const unknown = (id: string) => new AdministrationError('not-found', `there is no device ${id}; see devices list`)

const taken = (what: string, why: string) => new AdministrationError('taken', `${what} ${why}`)

function nobodyAsks(id: string, verdict?: 'approved' | 'refused'): AdministrationError {
  if (verdict) return new AdministrationError('not-found', `${id} is ${verdict} already`)
  const remedy = 'see devices list --state pending; to let a device in before it asks: devices invite'
  return new AdministrationError('not-found', `no device waits under the id ${id}; ${remedy}`)
}

function severalAsk(id: string, devices: readonly ListedDevice[]): AdministrationError {
  const each = devices.map(({ uuid, key, ip }) => `${uuid.slice(0, 12)} (key ${key.slice(0, 12)}, from ${ip})`)
  return new AdministrationError(
    'ambiguous',
    `${devices.length} devices ask for the id ${id}: ${each.join(', ')}; say which with --fingerprint`,
  )
}

async function guarded<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error
    throw new AdministrationError('unavailable', `the state can't be used: ${error.message}`, { cause: error })
  }
}
