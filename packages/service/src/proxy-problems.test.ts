import { describe, expect, it } from '@jest/globals'
import { proxyProblems } from './proxy-problems.ts'

describe('settings of proxies', () => {
  it('are refused when headers are to be read and nobody is to be believed', () => {
    const problems = proxyProblems({ proxyProtocol: true, trustedProxies: [] })
    expect(problems).toEqual([
      expect.objectContaining({ setting: 'PROXY_PROTOCOL=Y, TRUSTED_PROXIES=none', source: 'settings together' }),
    ])
  })

  it.each([
    { proxyProtocol: true, trustedProxies: ['10.0.0.5/32'] },
    { proxyProtocol: false, trustedProxies: [] },
  ])('may be %j', (config) => {
    expect(proxyProblems(config)).toEqual([])
  })
})
