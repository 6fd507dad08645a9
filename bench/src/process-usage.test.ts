import { describe, expect, it } from '@jest/globals'
import { parseCpuUs, parseRssBytes, readUsage } from './process-usage.ts'

describe('readUsage', () => {
  it('adds user and system time, whatever the program is called', () => {
    const stat = '4711 (a (strange) name) S 1 4711 4711 0 -1 4194304 900 0 0 0 250 75 0 0 20 0 11 0 100 1000 200'
    expect(parseCpuUs(stat)).toBe((250 + 75) * 10_000)
  })

  it('reads the resident memory in bytes', () => {
    expect(parseRssBytes('Name:\thbbs\nVmHWM:\t  90000 kB\nVmRSS:\t   81920 kB\n')).toBe(80 * 1024 * 1024)
  })

  it('says that a process has ended when it has no memory any more', () => {
    expect(() => parseRssBytes('Name:\thbbs\nState:\tZ (zombie)\n')).toThrow('the process has ended')
  })

  it('reads this process', () => {
    const { cpuUs, rssBytes } = readUsage(process.pid)
    expect(cpuUs).toBeGreaterThan(0)
    expect(rssBytes).toBeGreaterThan(10 * 1024 * 1024)
  })
})
