import { describe, expect, it } from '@jest/globals'
import { parseIpv4Routes, parseIpv6Routes } from './default-gateways.ts'

describe('default gateways', () => {
  it('are the next hops of IPv4 routes to everywhere', () => {
    const text = [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0',
      'eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
      'wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0',
      '',
    ].join('\n')
    expect(parseIpv4Routes(text)).toEqual(['172.18.0.1'])
  })

  it('are the next hops of IPv6 routes to everywhere', () => {
    const zeros = '0'.repeat(32)
    const text = [
      `fd00000000000000${'0'.repeat(16)} 40 ${zeros} 00 ${zeros} 00000100 00000001 00000000 00000001     eth0`,
      `${zeros} 00 ${zeros} 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0`,
      `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo`,
      '',
    ].join('\n')
    expect(parseIpv6Routes(text)).toEqual(['fd00::1'])
  })

  it('are none in a file that is not there', () => {
    expect([...parseIpv4Routes(''), ...parseIpv6Routes('')]).toEqual([])
  })
})
