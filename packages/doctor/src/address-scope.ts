import { BlockList, isIPv6 } from 'node:net'

/** How far an address reaches. `container`: private, of the range from which container networks take theirs. */
export type AddressScope = 'loopback' | 'container' | 'private' | 'public'

const RANGES: readonly (readonly [AddressScope, readonly (readonly [string, number])[]])[] = [
  [
    'loopback',
    [
      ['127.0.0.0', 8],
      ['0.0.0.0', 8],
      ['::1', 128],
      ['::', 128],
    ],
  ],
  ['container', [['172.16.0.0', 12]]],
  [
    'private',
    [
      ['10.0.0.0', 8],
      ['192.168.0.0', 16],
      ['100.64.0.0', 10],
      ['169.254.0.0', 16],
      ['fc00::', 7],
      ['fe80::', 10],
    ],
  ],
]

const familyOf = (ip: string) => (isIPv6(ip) ? 'ipv6' : 'ipv4')

const LISTS = RANGES.map(([scope, ranges]) => {
  const list = new BlockList()
  for (const [base, bits] of ranges) list.addSubnet(base, bits, familyOf(base))
  return [scope, list] as const
})

export function scopeOf(ip: string): AddressScope {
  const found = LISTS.find(([, list]) => list.check(ip, familyOf(ip)))
  return found?.[0] ?? 'public'
}
