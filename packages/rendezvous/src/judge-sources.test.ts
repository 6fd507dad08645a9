import { describe, expect, it } from '@jest/globals'
import { judgeSources, type SourceFacts } from './judge-sources.ts'

const GATEWAYS = ['172.18.0.1', 'fd00::1']

function judge(byIp: Record<string, number>, more: Partial<SourceFacts> = {}) {
  const devicesByIp = new Map(Object.entries(byIp))
  const devices = [...devicesByIp.values()].reduce((sum, count) => sum + count, 0)
  const connections = { connections: 0, connectionsFromGateways: 0 }
  return judgeSources({ devices, devicesByIp, gateways: GATEWAYS, ...connections, ...more })
}

describe('sources', () => {
  it.each([
    ['all devices are at the gateway', { '172.18.0.1': 3 }],
    ['almost all are', { '172.18.0.1': 90, '172.18.0.7': 5, '203.0.113.7': 5 }],
    ['they are at the gateways of both families', { '172.18.0.1': 2, 'fd00::1': 2 }],
  ])('are hidden behind the gateways when %s', (_, byIp) => {
    expect(judge(byIp as Record<string, number>)).toEqual(GATEWAYS)
  })

  it('are hidden behind the gateways when connections come from there', () => {
    expect(judge({}, { connections: 33, connectionsFromGateways: 30 })).toEqual(GATEWAYS)
    expect(judge({}, { connections: 29, connectionsFromGateways: 29 })).toEqual([])
    expect(judge({}, { connections: 300, connectionsFromGateways: 200 })).toEqual([])
  })

  it('are hidden behind a private address when many devices are there, and nowhere else', () => {
    expect(judge({ '10.0.0.9': 10 })).toEqual(['10.0.0.9'])
    expect(judge({ '100.64.0.9': 10 })).toEqual(['100.64.0.9'])
    expect(judge({ '10.0.0.9': 9 })).toEqual([])
    expect(judge({ '10.0.0.9': 1000, '10.0.0.10': 1 })).toEqual([])
  })

  it.each([
    ['nobody is there', {}],
    ['a household is at the gateway', { '172.18.0.1': 2 }],
    ['a few are there among others', { '172.18.0.1': 80, '203.0.113.7': 20 }],
    ['a fleet is behind a public address', { '203.0.113.7': 1000 }],
    ['all are on this machine', { '127.0.0.1': 1000 }],
    ['a network has addresses of its own', { '192.168.1.2': 1, '192.168.1.3': 1, '192.168.1.4': 1 }],
  ])('are seen when %s', (_, byIp) => {
    expect(judge(byIp as Record<string, number>)).toEqual([])
  })

  it('are never hidden behind a public gateway, whatever comes from it', () => {
    const gateways = ['203.0.113.1', '2001:db8::1']
    const counts = { connections: 1000, connectionsFromGateways: 1000 }
    expect(judge({ '203.0.113.1': 1000 }, { gateways, ...counts })).toEqual([])
  })
})
