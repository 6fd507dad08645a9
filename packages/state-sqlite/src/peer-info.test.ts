import { describe, expect, it } from '@jest/globals'
import { ipOfPeerInfo, peerInfo } from './peer-info.ts'

describe('peerInfo', () => {
  it.each(['203.0.113.7', '2001:db8::b', ''])('keeps %j', (ip) => expect(ipOfPeerInfo(peerInfo(ip))).toBe(ip))

  it('writes what the reference writes', () => expect(peerInfo('203.0.113.7')).toBe('{"ip":"203.0.113.7"}'))

  it('reads an embedded IPv4 address in its plain form', () =>
    expect(ipOfPeerInfo('{"ip":"::ffff:203.0.113.9"}')).toBe('203.0.113.9'))

  it('knows no address where the text holds none', () => {
    for (const info of ['', 'x', '{', '{}', 'null', '[]', '1', '"ip"', '{"ip":1}', '{"ip":null}', '{"ip":["1.2.3.4"]}'])
      expect(ipOfPeerInfo(info)).toBe('')
  })
})
