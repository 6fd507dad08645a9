import { describe, expect, it } from '@jest/globals'
import { formatAddress, parseAddress } from './node-address.ts'

describe('addresses of nodes', () => {
  it.each([
    ['10.0.0.1', 5, '10.0.0.1:5'],
    ['node-2.internal', 65_535, 'node-2.internal:65535'],
    ['fd00::1', 21_200, '[fd00::1]:21200'],
  ])('of %s with port %i are written as %s and read again', (host, port, text) => {
    expect(formatAddress(host, port)).toBe(text)
    expect(parseAddress(text)).toEqual({ host, port })
  })

  it.each(['', 'host', 'host:', ':5', 'host:0', 'host:65536', 'fd00::1:5', 'host:5x'])(
    'are not taken from %j',
    (text) => {
      expect(parseAddress(text)).toBeUndefined()
    },
  )
})
