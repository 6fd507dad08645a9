import { formatIp, parseIp } from '@tryst/protocol'
import ipaddr from 'ipaddr.js'

type Range = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/**
 * A block or black list: IP addresses and ranges (`203.0.113.7`, `2001:db8::/48`). Addresses are compared in plain form,
 * so `::ffff:203.0.113.7` and `203.0.113.7` are the same entry.
 */
export class AddressList {
  readonly #addresses = new Set<string>()
  readonly #ranges = new Map<string, Range>()
  #version = 0

  /** Changes with the list: what was looked up before may be otherwise now. */
  get version(): number {
    return this.#version
  }

  get entries(): string[] {
    return [...this.#addresses, ...this.#ranges.keys()]
  }

  get size(): number {
    return this.#addresses.size + this.#ranges.size
  }

  /** @param ip in plain form */
  includes(ip: string): boolean {
    if (this.#addresses.has(ip)) return true
    if (this.#ranges.size === 0) return false
    return matchesAny(ip, this.#ranges.values())
  }

  /** False when it is neither an address nor a range. */
  add(text: string): boolean {
    const octets = parseIp(text)
    if (octets) this.#addresses.add(formatIp(octets))
    else {
      const range = parseRange(text)
      if (!range) return false
      this.#ranges.set(formatRange(range), range)
    }
    this.#version++
    return true
  }

  remove(text: string): void {
    const octets = parseIp(text)
    const range = octets ? undefined : parseRange(text)
    if (octets) this.#addresses.delete(formatIp(octets))
    if (range) this.#ranges.delete(formatRange(range))
    this.#version++
  }

  clear(): void {
    this.#addresses.clear()
    this.#ranges.clear()
    this.#version++
  }

  /**
   * Takes over the text of a file in place of what was there: one entry in a line, everything behind the first space
   * is a remark.
   *
   * @returns lines that are no entry
   */
  replaceWith(fileText: string): string[] {
    this.clear()
    const unreadable: string[] = []
    for (const line of fileText.split('\n')) {
      const entry = line.trim().split(/\s/, 1)[0] ?? ''
      if (entry === '' || entry.startsWith('#')) continue
      if (!this.add(entry)) unreadable.push(entry)
    }
    return unreadable
  }
}

function parseRange(text: string): Range | undefined {
  if (!ipaddr.isValidCIDR(text)) return undefined
  const [address, bits] = ipaddr.parseCIDR(text)
  const isMapped = address.kind() === 'ipv6' && (address as ipaddr.IPv6).isIPv4MappedAddress()
  return isMapped && bits >= 96 ? [(address as ipaddr.IPv6).toIPv4Address(), bits - 96] : [address, bits]
}

const formatRange = ([address, bits]: Range): string => `${address.toString()}/${bits}`

function matchesAny(ip: string, ranges: Iterable<Range>): boolean {
  if (!ipaddr.isValid(ip)) return false
  const address = ipaddr.parse(ip)
  for (const range of ranges) {
    if (address.kind() === range[0].kind() && address.match(range as [ipaddr.IPv4, number])) return true
  }
  return false
}
