import { EventEmitter } from 'node:events'
import { describe, expect, it } from '@jest/globals'
import type { Clock } from '@tryst/relay'
import { ParentTickets } from './parent-tickets.ts'

function parentTickets(maxTickets?: number) {
  let now = 0
  const clock: Clock = { now: () => now, after: () => ({ cancel: () => undefined }) }
  const source = new EventEmitter()
  const tickets = new ParentTickets({ clock, source, ...(maxTickets !== undefined && { maxTickets }) })
  const half = (name: string, device = '') => tickets.meet({ uuid: 'x', name, device })
  const pass = (ms: number) => {
    now += ms
  }
  return { tickets, source, half, pass }
}

describe('tickets from the parent process', () => {
  it('let in the two halves of a session, and nobody else', async () => {
    const { tickets, source, half } = parentTickets()
    expect(await half('b')).toEqual({ kind: 'no-ticket' })
    source.emit('message', { ticket: { uuid: 'x', device: '123456789' } })
    expect(await half('b')).toEqual({ kind: 'wait', device: '123456789' })
    expect(await half('a', '987654321')).toEqual({ kind: 'wrong-device' })
    tickets.met('x')
    expect(await half('c')).toEqual({ kind: 'used' })
    source.emit('message', { ticket: { uuid: 'x', device: '123456789' } })
    expect(await half('c')).toEqual({ kind: 'used' })
  })

  it('are good for a minute', async () => {
    const { tickets, source, half, pass } = parentTickets()
    source.emit('message', { ticket: { uuid: 'x', device: '123456789' } })
    pass(60_000)
    expect(await half('b')).toEqual({ kind: 'no-ticket' })
    expect(tickets.size).toBe(0)
  })

  it('tell how many sessions may still come', async () => {
    const { tickets, source, half, pass } = parentTickets()
    source.emit('message', { ticket: { uuid: 'x', device: '123456789' } })
    expect(tickets.outstanding(8_000)).toBe(1)
    await half('b')
    expect(tickets.outstanding(8_000)).toBe(1)
    pass(8_001)
    expect(tickets.outstanding(8_000)).toBe(0)
    pass(-8_001)
    tickets.met('x')
    expect(tickets.outstanding(8_000)).toBe(0)
  })

  it('are bounded, and given back by who leaves', async () => {
    const { tickets, source, half } = parentTickets(3)
    for (const uuid of ['1', '2', '3', '4', 'x']) source.emit('message', { ticket: { uuid, device: '123456789' } })
    expect(tickets.size).toBe(3)
    await half('b')
    tickets.leave('x', 'b')
    expect(await half('c')).toMatchObject({ kind: 'wait' })
  })

  it.each([
    undefined,
    'ticket',
    { ready: true },
    { ticket: null },
    { ticket: { uuid: 'x' } },
    { ticket: { uuid: '', device: '123456789' } },
    { ticket: { uuid: 'x', device: 5 } },
    { ticket: { uuid: 'x'.repeat(5_000), device: '123456789' } },
  ])('are not made of other messages: %j', (message) => {
    const { tickets, source } = parentTickets()
    source.emit('message', message)
    expect(tickets.size).toBe(0)
  })

  it('come no more when it is closed', () => {
    const { tickets, source } = parentTickets()
    tickets.close()
    expect(source.listenerCount('message')).toBe(0)
  })
})
