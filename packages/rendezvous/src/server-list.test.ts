import { describe, expect, it } from '@jest/globals'
import { softwareVersionOf } from './server-list.ts'

describe('the version in the name of a download', () => {
  it.each([
    ['https://example.com/rustdesk-1.4.9.exe', '1.4.9'],
    ['https://example.com/rustdesk-1.4.9', '1.4.9'],
    ['https://example.com/rustdesk-1.4.9.deb', '1.4.9'],
    ['https://example.com/rustdesk-2', '2'],
    ['', ''],
  ])('%s is %s', (url, version) => expect(softwareVersionOf(url)).toBe(version))
})
