/** The first byte of the first address: nothing below is anybody's. */
const FIRST_BYTE = 16
const OCTETS = Array.from({ length: 256 }, (_, octet) => `${octet}`)
/** Source port of every device; no two share an address. */
export const DEVICE_PORT = 40_000

/**
 * Addresses of devices: each has one of its own, another after every move, and an address says whose it is. The low
 * bits are the device's number, those above count its moves.
 */
export class DeviceAddresses {
  readonly #bits: number
  readonly #generations: number

  constructor(devices: number) {
    this.#bits = Math.ceil(Math.log2(devices))
    // Up to 111.255.255.255: loopback and others with a meaning lie above.
    this.#generations = Math.floor((96 * 2 ** 24) / 2 ** this.#bits)
  }

  text(device: number, moves: number): string {
    const number = FIRST_BYTE * 2 ** 24 + (moves % this.#generations) * 2 ** this.#bits + device
    return `${OCTETS[number >>> 24]}.${OCTETS[(number >>> 16) & 255]}.${OCTETS[(number >>> 8) & 255]}.${OCTETS[number & 255]}`
  }

  /** The device that has, or had, an address, and how often it had moved by then. */
  owner(ip: string): { readonly device: number; readonly moves: number } {
    let number = 0
    for (const octet of ip.split('.')) number = number * 256 + Number(octet)
    const offset = number - FIRST_BYTE * 2 ** 24
    const moves = Math.floor(offset / 2 ** this.#bits)
    return { device: offset - moves * 2 ** this.#bits, moves }
  }

  isCurrent(owner: { readonly device: number; readonly moves: number }, moves: number): boolean {
    return owner.moves === moves % this.#generations
  }
}
