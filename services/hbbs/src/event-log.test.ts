import { describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { createLogger } from '@tryst/service'
import { EventLog } from './event-log.ts'

function eventLog() {
  const lines: Record<string, unknown>[] = []
  const hits: string[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const log = createLogger({ service: 'hbbs', level: 'info', format: 'json', destination })
  return { events: new EventLog(log, (limit) => hits.push(limit)), lines, hits }
}

describe('the log of events', () => {
  it('keeps the form that fail2ban looks for', () => {
    const { events, lines } = eventLog()
    events.keyMismatch('123456789', { ip: '203.0.113.7', port: 50_000 })
    events.keyMismatch('123456789', { ip: '2001:db8::7', port: 50_000 })
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'Authentication failed from 203.0.113.7:50000 for peer 123456789 - invalid key'],
      ['warn', 'Authentication failed from [2001:db8::7]:50000 for peer 123456789 - invalid key'],
    ])
  })

  it('keeps the form of a refused change of id', () => {
    const { events, lines } = eventLog()
    events.idChangeRefused('123456789\n', { ip: '203.0.113.7', port: 50_000 })
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'Change of ID refused from 203.0.113.7:50000 for peer 123456789? - invalid uuid'],
    ])
  })

  it('names both machines that share an identity, and what is done or to be done', () => {
    const { events, lines } = eventLog()
    const newcomer = { ip: '203.0.113.7', port: 50_000 }
    events.cloneFound('123456789' as PeerId, newcomer, '198.51.100.4:1000', false)
    events.cloneFound('123456789' as PeerId, newcomer, 'elsewhere', true)
    expect(lines).toMatchObject([
      {
        ...{ level: 'warn', id: '123456789', newcomer: '203.0.113.7:50000', original: '198.51.100.4:1000' },
        remedy: expect.stringContaining('HEAL_CLONES'),
      },
      { original: 'elsewhere', remedy: expect.stringContaining('draw another ID') },
    ])
  })

  it('keeps the form of a refused key, with both addresses', () => {
    const { events, lines } = eventLog()
    events.newKeyRefused('123456789' as PeerId, { ip: '203.0.113.7', port: 50_000 }, '198.51.100.4')
    events.newKeyRefused('a b' as PeerId, { ip: '2001:db8::7', port: 50_000 }, '')
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'New key refused from 203.0.113.7:50000 for peer 123456789 - registered from 198.51.100.4'],
      ['warn', 'New key refused from [2001:db8::7]:50000 for peer a?b - registered from nowhere known'],
    ])
  })

  it('names both sides of a contradiction, each id once a minute', () => {
    const { events, lines } = eventLog()
    const side = (ip: string) => ({ ip, uuid: new TextEncoder().encode(`uuid\n${ip}`), publicKey: new Uint8Array(32) })
    const from = { ip: '203.0.113.7', port: 1 }
    for (const id of ['123456789', '987654321', '123456789']) {
      events.identityContradicted(id as PeerId, from, side('203.0.113.7'), side('203.0.113.8'))
    }
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatchObject({
      level: 'error',
      id: '123456789',
      from: '203.0.113.7:1',
      registering: { ip: '203.0.113.7', uuid: 'uuid?203.0.113.7', publicKey: 'A'.repeat(43).concat('=') },
      stored: { ip: '203.0.113.8', uuid: 'uuid?203.0.113.8' },
      remedy: expect.stringContaining('--replace'),
    })
  })

  it("keeps a stranger's text to one short line", () => {
    const { events, lines } = eventLog()
    events.keyMismatch(`a\nb${'c'.repeat(1000)}`, { ip: '203.0.113.7', port: 1 })
    const message = String(lines[0]?.msg)
    expect(message).toContain('for peer a?bccc')
    expect(message.length).toBeLessThan(200)
  })

  it('writes a limit once, with its remedy, and counts every hit', () => {
    const { events, lines, hits } = eventLog()
    for (let times = 0; times < 5; times++) events.limitHit('lookups-per-minute', '203.0.113.7')
    events.connectionLimit('connections_total', '203.0.113.8')
    expect(lines).toEqual([
      expect.objectContaining({
        msg: 'limit hit',
        limit: 'lookups-per-minute',
        source: '203.0.113.7',
        times: 1,
        remedy: expect.stringContaining('LOOKUPS_PER_MINUTE'),
      }),
      expect.objectContaining({ limit: 'connections_total', remedy: expect.stringContaining('CONNECTIONS_TOTAL') }),
    ])
    expect(hits).toHaveLength(6)
  })

  it('says once for each purpose that the state is not available, however often it is asked', () => {
    const { events, lines } = eventLog()
    for (let times = 0; times < 1_000; times++) events.unavailable('registration', new Error('Redis is away'))
    events.unavailable('request', new Error('Redis is away'))
    expect(lines.map(({ level, msg, what, times }) => [level, msg, what, times])).toEqual([
      ['error', 'state not available', 'registration', 1],
      ['error', 'state not available', 'request', 1],
    ])
  })

  it('tells what became of a device', () => {
    const { events, lines } = eventLog()
    events.registered('123456789' as PeerId, { ip: '203.0.113.7', port: 50_000 }, 'created')
    expect(lines).toEqual([
      expect.objectContaining({ id: '123456789', from: '203.0.113.7:50000', how: 'created', level: 'info' }),
    ])
  })
})
