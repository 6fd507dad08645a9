import { readFileSync } from 'node:fs'
import { formatIp } from '@tryst/protocol'

/** The next hops of this machine's default routes; none where the system has no such files. */
export function readDefaultGateways(): readonly string[] {
  const ipv4 = parseIpv4Routes(read('/proc/net/route'))
  return [...new Set([...ipv4, ...parseIpv6Routes(read('/proc/net/ipv6_route'))])]
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** Lines of `interface destination gateway flags …`, the addresses as hexadecimal numbers in the machine's byte order. */
export function parseIpv4Routes(text: string): string[] {
  const gateways: string[] = []
  for (const line of text.split('\n')) {
    const [, destination, gateway = ''] = line.split(/\s+/)
    if (destination === NO_ADDRESS && gateway !== NO_ADDRESS && /^[0-9A-F]{8}$/i.test(gateway)) {
      gateways.push(formatIp(Buffer.from(gateway, 'hex').reverse()))
    }
  }
  return gateways
}

/** Lines of `destination length source length gateway …`, the addresses as 32 hexadecimal digits. */
export function parseIpv6Routes(text: string): string[] {
  const gateways: string[] = []
  for (const line of text.split('\n')) {
    const [, length, , , gateway = ''] = line.split(/\s+/)
    if (length === '00' && gateway !== NO_IPV6_ADDRESS && /^[0-9a-f]{32}$/i.test(gateway)) {
      gateways.push(formatIp(Buffer.from(gateway, 'hex')))
    }
  }
  return gateways
}

const NO_ADDRESS = '0'.repeat(8)
const NO_IPV6_ADDRESS = '0'.repeat(32)
