import ipaddr from 'ipaddr.js'

/** Tells whether a plain address is inside an IPv4 network; IPv6 addresses never are. */
export function lanMatcher(cidr: string | undefined): (ip: string) => boolean {
  if (cidr === undefined) return () => false
  const [network, prefixLength] = ipaddr.IPv4.parseCIDR(cidr)
  return (ip) => ipaddr.IPv4.isValidFourPartDecimal(ip) && ipaddr.IPv4.parse(ip).match(network, prefixLength)
}
