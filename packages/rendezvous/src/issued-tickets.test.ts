import { describe, expect, it } from '@jest/globals'
import { IssuedTickets, TICKET_LIFETIME_MS } from './issued-tickets.ts'
import type { PeerId } from './peer-identity.ts'

const laptop = '123456789' as PeerId
const desktop = '987654321' as PeerId
const HERE = '192.0.2.1'

function ticketsAt(clock: { nowMs: number }, limitHits: string[] = []): IssuedTickets {
  return new IssuedTickets({
    tickets: { issue: async () => undefined },
    clock: () => clock.nowMs,
    events: { unavailable: () => undefined, limitHit: (limit, source) => void limitHits.push(`${limit} ${source}`) },
  })
}

describe('IssuedTickets', () => {
  it('knows a session for a minute from its last introduction', () => {
    const clock = { nowMs: 0 }
    const tickets = ticketsAt(clock)
    tickets.issue('a', laptop, HERE)
    tickets.issue('b', desktop, HERE)
    clock.nowMs = 30_000
    tickets.issue('a', laptop, HERE)
    clock.nowMs = TICKET_LIFETIME_MS
    expect([tickets.find('a'), tickets.find('b')]).toEqual([laptop, undefined])
    clock.nowMs = 30_000 + TICKET_LIFETIME_MS
    expect(tickets.find('a')).toBeUndefined()
  })

  it('forgets what is over, and the oldest when there are too many', async () => {
    const clock = { nowMs: 0 }
    const tickets = ticketsAt(clock)
    for (let i = 0; i < 1_000; i++) await tickets.issue(`old-${i}`, laptop, HERE)
    clock.nowMs = TICKET_LIFETIME_MS
    tickets.issue('new', laptop, HERE)
    expect(tickets.size).toBe(1)
    for (let i = 0; i < 100_000; i++) await tickets.issue(`flood-${i}`, desktop, `203.0.113.${i % 10}`)
    expect(tickets.size).toBe(100_000)
    expect(tickets.find('new')).toBeUndefined()
    expect(tickets.find('flood-0')).toBe(desktop)
  })

  it('writes no more than 500 of one source at once', async () => {
    const limitHits: string[] = []
    const tickets = ticketsAt({ nowMs: 0 }, limitHits)
    const written = Array.from({ length: 600 }, (_, i) => tickets.issue(`flood-${i}`, laptop, '192.0.2.66'))
    expect(written.filter((one) => one !== undefined)).toHaveLength(500)
    expect(limitHits).toHaveLength(100)
    expect(tickets.issue('another', laptop, HERE)).toBeDefined()
    await Promise.all(written)
    expect(tickets.issue('later', laptop, '192.0.2.66')).toBeDefined()
  })

  it('leaves no more than 10,000 for one source within a minute', async () => {
    const clock = { nowMs: 0 }
    const limitHits: string[] = []
    const tickets = ticketsAt(clock, limitHits)
    for (let i = 0; i < 10_000; i++) await tickets.issue(`flood-${i}`, laptop, '2001:db8::1')
    // All of one network are one source.
    expect(tickets.issue('more', laptop, '2001:db8::2')).toBeUndefined()
    expect([tickets.size, limitHits]).toEqual([10_000, ['sessions-per-minute 2001:db8::2']])
    expect(tickets.issue('another', laptop, HERE)).toBeDefined()
    clock.nowMs = TICKET_LIFETIME_MS
    expect(tickets.issue('later', laptop, '2001:db8::2')).toBeDefined()
  })
})
