const OFFSETS = 2
const HIGH_BITS = 2 ** 21

/**
 * What a device proves itself by, its uuid and key, as one number of 53 bits: to tell without the store whether the
 * device that is online here has only another port. Others can neither compute nor see it.
 */
export class DeviceProofs {
  readonly #seeds = Array.from({ length: OFFSETS }, () => Math.floor(Math.random() * 2 ** 32))

  /** Never 0. */
  of({ uuid, publicKey }: { readonly uuid: Uint8Array; readonly publicKey: Uint8Array }): number {
    const [low = 0, high = 0] = this.#seeds.map((seed) => mixed(mixed(seed ^ uuid.length, uuid), publicKey) >>> 0)
    return (high % HIGH_BITS) * 2 ** 32 + low || 1
  }
}

/** FNV-1a, 32 bits, its bits spread. */
function mixed(seed: number, bytes: Uint8Array): number {
  let hash = seed
  for (const byte of bytes) {
    hash = Math.imul(hash ^ byte, 0x01000193)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return hash ^ (hash >>> 16)
}
