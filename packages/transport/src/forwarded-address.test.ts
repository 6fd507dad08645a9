import { describe, expect, it } from '@jest/globals'
import { forwardedEndpoint } from './forwarded-address.ts'
import { addressMatcher } from './trusted-addresses.ts'

const isTrusted = addressMatcher(['127.0.0.0/8', '::1/128', '10.0.0.0/8', '2001:db8:ffff::/48'])
const proxy = { ip: '127.0.0.1', port: 40_000 }

const ask = (headers: { realIp?: string; forwardedFor?: string }, remote = proxy) =>
  forwardedEndpoint({ remote, realIp: headers.realIp, forwardedFor: headers.forwardedFor, isTrusted })

describe('the address of a connection', () => {
  it.each([
    ['203.0.113.7', { ip: '203.0.113.7', port: 0 }],
    ['203.0.113.7:50000', { ip: '203.0.113.7', port: 50_000 }],
    [' 203.0.113.7 ', { ip: '203.0.113.7', port: 0 }],
    ['2001:DB8::0:7', { ip: '2001:db8::7', port: 0 }],
    ['[2001:db8::7]', { ip: '2001:db8::7', port: 0 }],
    ['[2001:db8::7]:50000', { ip: '2001:db8::7', port: 50_000 }],
    ['::ffff:203.0.113.7', { ip: '203.0.113.7', port: 0 }],
  ])('is what a trusted proxy says in X-Real-IP: %s', (realIp, expected) => {
    expect(ask({ realIp })).toEqual(expected)
    expect(ask({ realIp, forwardedFor: '198.51.100.1' })).toEqual(expected)
  })

  it.each(['', 'unknown', '203.0.113', '203.0.113.7:99999', '[203.0.113.7', 'example.com', '203.0.113.7, 203.0.113.8'])(
    "is the socket's own when the header can't be read: %j",
    (value) => {
      expect(ask({ realIp: value })).toEqual(proxy)
      expect(ask({ realIp: value, forwardedFor: '198.51.100.1' })).toEqual(proxy)
    },
  )

  it.each([
    ['198.51.100.1', '198.51.100.1'],
    ['198.51.100.66, 198.51.100.1', '198.51.100.1'],
    ['198.51.100.66, 198.51.100.1, 10.1.2.3', '198.51.100.1'],
    ['198.51.100.1:4711, [2001:db8:ffff::1]:80 , 127.0.0.1', '198.51.100.1'],
    ['nonsense, 198.51.100.1', '198.51.100.1'],
    ['10.0.0.5, 10.0.0.6', '10.0.0.5'],
  ])('is the nearest one in X-Forwarded-For that is no trusted proxy: %s', (forwardedFor, ip) => {
    expect(ask({ forwardedFor }).ip).toBe(ip)
  })

  it.each(['198.51.100.1, nonsense', '198.51.100.1, nonsense, 10.0.0.1', ' , '])(
    "is the socket's own when X-Forwarded-For can't be read up to there: %j",
    (forwardedFor) => {
      expect(ask({ forwardedFor })).toEqual(proxy)
    },
  )

  it("is the socket's own whatever the headers say when nobody trusts the sender", () => {
    const stranger = { ip: '203.0.113.66', port: 1 }
    expect(ask({ realIp: '203.0.113.7', forwardedFor: '203.0.113.7' }, stranger)).toEqual(stranger)
  })

  it("is the socket's own without headers", () => {
    expect(ask({})).toEqual(proxy)
  })
})
