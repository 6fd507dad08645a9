import { describe, expect, it } from '@jest/globals'
import { IssuedTickets, TICKET_LIFETIME_MS } from './issued-tickets.ts'
import type { PeerId } from './peer-identity.ts'

const laptop = '123456789' as PeerId
const desktop = '987654321' as PeerId

function ticketsAt(clock: { nowMs: number }): IssuedTickets {
  return new IssuedTickets({
    tickets: { issue: async () => undefined },
    clock: () => clock.nowMs,
    events: { unavailable: () => undefined },
  })
}

describe('IssuedTickets', () => {
  it('knows a session for a minute from its last introduction', () => {
    const clock = { nowMs: 0 }
    const tickets = ticketsAt(clock)
    tickets.issue('a', laptop)
    tickets.issue('b', desktop)
    clock.nowMs = 30_000
    tickets.issue('a', laptop)
    clock.nowMs = TICKET_LIFETIME_MS
    expect([tickets.find('a'), tickets.find('b')]).toEqual([laptop, undefined])
    clock.nowMs = 30_000 + TICKET_LIFETIME_MS
    expect(tickets.find('a')).toBeUndefined()
  })

  it('forgets what is over, and the oldest when there are too many', () => {
    const clock = { nowMs: 0 }
    const tickets = ticketsAt(clock)
    for (let i = 0; i < 1_000; i++) tickets.issue(`old-${i}`, laptop)
    clock.nowMs = TICKET_LIFETIME_MS
    tickets.issue('new', laptop)
    expect(tickets.size).toBe(1)
    for (let i = 0; i < 100_000; i++) tickets.issue(`flood-${i}`, desktop)
    expect(tickets.size).toBe(100_000)
    expect(tickets.find('new')).toBeUndefined()
    expect(tickets.find('flood-0')).toBe(desktop)
  })
})
