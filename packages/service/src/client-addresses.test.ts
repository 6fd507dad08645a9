import type { NetworkInterfaceInfo } from 'node:os'
import { describe, expect, it } from '@jest/globals'
import { asClientSetting, clientAddresses } from './client-addresses.ts'

function address(host: string, options: { internal?: boolean; scopeid?: number } = {}): NetworkInterfaceInfo {
  const { internal = false, scopeid = 0 } = options
  const common = { address: host, netmask: '', mac: '00:00:00:00:00:00', internal, cidr: null }
  return host.includes(':') ? { ...common, family: 'IPv6', scopeid } : { ...common, family: 'IPv4' }
}

const LOOPBACK = [address('127.0.0.1', { internal: true }), address('::1', { internal: true })]

describe('the addresses that clients can be given', () => {
  it('are the public host alone when it is set', () => {
    expect(clientAddresses('hbbs.example.com', { eth0: [address('192.168.1.2')] })).toEqual([
      { host: 'hbbs.example.com', reach: 'everywhere' },
    ])
  })

  it('begin with public ones and leave out loopback and link-local ones', () => {
    const interfaces = {
      lo: LOOPBACK,
      eth0: [address('192.168.1.2'), address('2001:4860::8', {}), address('fe80::1', { scopeid: 2 })],
      eth1: [address('203.0.113.9'), address('8.8.4.4')],
    }
    expect(clientAddresses(undefined, interfaces).map(({ host, reach }) => [host, reach])).toEqual([
      ['8.8.4.4', 'everywhere'],
      ['2001:4860::8', 'everywhere'],
      ['192.168.1.2', 'own network'],
      ['203.0.113.9', 'own network'],
    ])
  })

  it('are loopback when the machine has nothing else', () => {
    expect(clientAddresses(undefined, { lo: LOOPBACK })).toEqual([{ host: '127.0.0.1', reach: 'this machine' }])
  })

  it.each([
    ['localhost', 'this machine'],
    ['127.0.0.1', 'this machine'],
    ['[::1]:21116', 'this machine'],
    ['10.1.2.3', 'own network'],
    ['100.64.0.1', 'own network'],
    ['fd00::1', 'own network'],
    ['8.8.8.8', 'everywhere'],
    ['hbbs.example.com', 'everywhere'],
  ])('know that %s can be reached from %s', (host, reach) => {
    expect(clientAddresses(host, {})).toEqual([{ host, reach }])
  })
})

describe('what a client is told to enter', () => {
  it('names the port only where it is not the usual one', () => {
    expect(asClientSetting('hbbs.example.com', 21116)).toBe('hbbs.example.com')
    expect(asClientSetting('hbbs.example.com', 30000)).toBe('hbbs.example.com:30000')
  })

  it('puts an IPv6 address with a port into brackets', () => {
    expect(asClientSetting('2001:db8::1', 30000)).toBe('[2001:db8::1]:30000')
  })
})
