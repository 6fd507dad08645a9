import { createHash } from 'node:crypto'
import { sourcePrefix } from '@tryst/protocol'
import {
  type AccessStore,
  type DeployToken,
  type DeviceClaim,
  type DeviceFingerprints,
  type Invite,
  type ListedDevice,
  type ListingReason,
  MAX_PENDING_DEVICES,
  MAX_PENDING_OF_ID,
  MAX_PENDING_OF_SOURCE,
  REFRESH_PENDING_MS,
  type Standing,
  type TokenUse,
} from '../src/device-access.ts'
import { StoreUnavailableError } from '../src/identity-store.ts'
import type { PeerId } from '../src/peer-identity.ts'

const fingerprint = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 32)
const fingerprintsOf = ({ id, uuid, publicKey }: DeviceClaim): DeviceFingerprints => ({
  ...{ id, uuid: fingerprint(uuid), key: fingerprint(publicKey) },
})
const keyOf = ({ id, uuid, key }: DeviceFingerprints) => `${uuid} ${key} ${id}`

/** What operators say, in Maps; `failing` makes every call fail. */
export class MemoryAccess implements AccessStore {
  failing = false
  readonly devices = new Map<string, ListedDevice>()
  readonly invited = new Map<PeerId, Invite>()
  readonly noted = new Map<PeerId, string>()
  readonly deployTokens = new Map<string, DeployToken>()

  async standing(claim: DeviceClaim): Promise<Standing> {
    this.#check()
    const listed = this.devices.get(keyOf(fingerprintsOf(claim)))
    if (listed && listed.state !== 'pending') return listed.state
    return this.invited.has(claim.id) ? 'invited' : (listed?.state ?? 'unknown')
  }

  async enlist(claim: DeviceClaim, why: ListingReason, nowMs: number) {
    this.#check()
    const device = fingerprintsOf(claim)
    const known = this.devices.get(keyOf(device))
    if (known && (known.state !== 'pending' || nowMs - known.lastSeenMs < REFRESH_PENDING_MS)) return
    const { ip } = claim
    const firstSeenMs = known?.firstSeenMs ?? nowMs
    this.devices.set(keyOf(device), { ...device, state: 'pending', why, ip, firstSeenMs, lastSeenMs: nowMs })
    this.#bound(MAX_PENDING_OF_ID, ({ id }) => id === claim.id)
    this.#bound(MAX_PENDING_OF_SOURCE, (other) => sourcePrefix(other.ip) === sourcePrefix(ip))
    this.#bound(MAX_PENDING_DEVICES, () => true)
  }

  async settle(claim: DeviceClaim) {
    this.#check()
    this.devices.delete(keyOf(fingerprintsOf(claim)))
    for (const [key, { id, why }] of this.devices) if (id === claim.id && why === 'new-device') this.devices.delete(key)
    this.invited.delete(claim.id)
  }

  async listed() {
    this.#check()
    return [...this.devices.values()].sort((a, b) => b.lastSeenMs - a.lastSeenMs)
  }

  async decide(device: DeviceFingerprints, verdict: 'approved' | 'refused') {
    this.#check()
    const listed = this.devices.get(keyOf(device))
    if (listed) this.devices.set(keyOf(device), { ...listed, state: verdict })
    return listed !== undefined
  }

  async invite(id: PeerId, createdMs: number) {
    this.#check()
    this.invited.set(id, { id, createdMs })
  }

  async invites() {
    this.#check()
    return [...this.invited.values()]
  }

  async setNote(id: PeerId, note: string) {
    this.#check()
    if (note === '') this.noted.delete(id)
    else this.noted.set(id, note)
  }

  async notes() {
    this.#check()
    return new Map(this.noted)
  }

  async rename(from: PeerId, to: PeerId) {
    this.#check()
    const note = this.noted.get(from)
    if (note === undefined) return
    this.noted.delete(from)
    this.noted.set(to, note)
  }

  async forget(id: PeerId) {
    this.#check()
    const before = this.devices.size + this.invited.size + this.noted.size
    for (const [key, device] of this.devices) if (device.id === id) this.devices.delete(key)
    this.invited.delete(id)
    this.noted.delete(id)
    return before !== this.devices.size + this.invited.size + this.noted.size
  }

  async addToken(token: DeployToken) {
    this.#check()
    if (this.deployTokens.has(token.name)) return false
    this.deployTokens.set(token.name, token)
    return true
  }

  async tokens() {
    this.#check()
    return [...this.deployTokens.values()]
  }

  async revokeToken(name: string) {
    this.#check()
    return this.deployTokens.delete(name)
  }

  async spendToken(hash: string, nowMs: number): Promise<TokenUse> {
    this.#check()
    const token = [...this.deployTokens.values()].find((one) => one.hash === hash)
    if (!token) return 'unknown'
    if (token.expiresMs !== undefined && token.expiresMs <= nowMs) return 'expired'
    if (token.usesLeft === 0) return 'used-up'
    this.#count(token, 1)
    return 'accepted'
  }

  async returnToken(hash: string) {
    this.#check()
    for (const token of this.deployTokens.values()) if (token.hash === hash) this.#count(token, -1)
  }

  #count(token: DeployToken, uses: 1 | -1): void {
    const usesLeft = token.usesLeft === undefined ? undefined : token.usesLeft - uses
    this.deployTokens.set(token.name, { ...token, usesLeft, used: token.used + uses })
  }

  #bound(most: number, counts: (device: ListedDevice) => boolean): void {
    const pending = [...this.devices.values()].filter((device) => device.state === 'pending' && counts(device))
    pending.sort((a, b) => a.lastSeenMs - b.lastSeenMs)
    for (const device of pending.slice(0, Math.max(0, pending.length - most))) this.devices.delete(keyOf(device))
  }

  #check(): void {
    if (this.failing) throw new StoreUnavailableError('the store is away')
  }
}
