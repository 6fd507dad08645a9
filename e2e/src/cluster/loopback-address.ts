const FIRST = 0x7f010002
const PER_BLOCK = 250

/** The address of a device's or controller's own, one of some millions on loopback that differ from the servers'. */
export function loopbackAddress(index: number): string {
  const number = FIRST + Math.floor(index / PER_BLOCK) * 256 + (index % PER_BLOCK)
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}
