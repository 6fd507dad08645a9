import { describe, expect, it } from '@jest/globals'
import { AddressList } from './address-list.ts'

const listOf = (...entries: string[]) => {
  const list = new AddressList()
  for (const entry of entries) expect(list.add(entry)).toBe(true)
  return list
}

describe('a list of addresses', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7', true],
    ['203.0.113.7', '203.0.113.8', false],
    ['::ffff:203.0.113.7', '203.0.113.7', true],
    ['2001:DB8:0::1', '2001:db8::1', true],
    ['203.0.113.0/24', '203.0.113.255', true],
    ['203.0.113.0/24', '203.0.114.0', false],
    ['::ffff:203.0.113.0/120', '203.0.113.9', true],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '203.0.113.7', false],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '203.0.113.7', false],
  ])('with %s holds %s: %s', (entry, ip, expected) => {
    expect(listOf(entry).includes(ip)).toBe(expected)
  })

  it.each(['', 'nonsense', '203.0.113', '203.0.113.7/33', 'example.com', '203.0.113.7:80'])(
    'does not take %j',
    (entry) => {
      expect(new AddressList().add(entry)).toBe(false)
    },
  )

  it('forgets an entry in whatever form it is written', () => {
    const list = listOf('203.0.113.7', '2001:db8::/32')
    list.remove('::ffff:203.0.113.7')
    list.remove('2001:DB8::/32')
    expect(list.entries).toEqual([])
  })

  it('takes over a file: an entry in a line, everything behind a space is a remark', () => {
    const list = listOf('198.51.100.1')
    const unreadable = list.replaceWith(
      '203.0.113.34 comment\n\n 203.0.113.36\r\n# remark\nnonsense\n10.0.0.0/8\tours\n',
    )
    expect(list.entries).toEqual(['203.0.113.34', '203.0.113.36', '10.0.0.0/8'])
    expect(unreadable).toEqual(['nonsense'])
    expect(list.size).toBe(3)
  })

  it('has another version after each change', () => {
    const list = new AddressList()
    const versions = [list.version]
    list.add('203.0.113.7')
    versions.push(list.version)
    list.remove('203.0.113.7')
    versions.push(list.version)
    list.clear()
    versions.push(list.version)
    expect(new Set(versions).size).toBe(4)
  })
})
