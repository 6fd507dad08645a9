import { signingKeyPairOf } from '@tryst/protocol/session'
import { randomBytes, randomInteger } from './random.ts'

/** What makes a device itself: stock devices keep it in their configuration for good. */
export interface DeviceIdentity {
  readonly id: string
  /** The operating system's machine id as bytes; tells two devices apart that claim one id. */
  readonly uuid: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Ed25519 in libsodium's form, 64 bytes. */
  readonly secretKey: Uint8Array
}

/** The range from which a stock device draws a new id when its own is taken. */
export const drawId = (): string => String(randomInteger(1_000_000_000, 2_000_000_000))

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** A new identity; whatever is given is taken, the rest is drawn. @param seed 32 bytes of the Ed25519 key */
export function createDeviceIdentity({
  id = drawId(),
  uuid = new TextEncoder().encode(hex(randomBytes(16))),
  seed = randomBytes(32),
}: {
  id?: string
  uuid?: Uint8Array
  seed?: Uint8Array
} = {}): DeviceIdentity {
  return { id, uuid, ...signingKeyPairOf(seed) }
}
