/** What `packIpv4` gives for text that is not a plain IPv4 address. 255.255.255.255 counts as such: nobody sends from it. */
export const NOT_IPV4 = -1

const DOT = 46
const ZERO = 48

/**
 * An IPv4 address in its usual dotted form as a signed 32-bit integer, NOT_IPV4 for anything else. Each number stands
 * for exactly one text, so numbers may be compared instead of texts. Allocates nothing.
 */
export function packIpv4(ip: string): number {
  let packed = 0
  let part = -1
  let dots = 0
  for (let at = 0; at < ip.length; at++) {
    const code = ip.charCodeAt(at)
    if (code === DOT) {
      if (part < 0 || dots === 3) return NOT_IPV4
      packed = (packed << 8) | part
      part = -1
      dots++
      continue
    }
    const digit = code - ZERO
    if (digit < 0 || digit > 9 || part === 0) return NOT_IPV4
    part = part < 0 ? digit : part * 10 + digit
    if (part > 255) return NOT_IPV4
  }
  return part < 0 || dots !== 3 ? NOT_IPV4 : (packed << 8) | part
}

export function unpackIpv4(packed: number): string {
  return `${packed >>> 24}.${(packed >>> 16) & 255}.${(packed >>> 8) & 255}.${packed & 255}`
}
