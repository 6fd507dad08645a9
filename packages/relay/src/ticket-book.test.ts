import { describe, expect, it } from '@jest/globals'
import { FakeClock } from '../test/fake-clock.ts'
import { TICKET_MS, TicketBook } from './ticket-book.ts'

const DEVICE = '123456789'

function book(maxTickets?: number) {
  const clock = new FakeClock()
  const tickets = new TicketBook({ clock, ...(maxTickets === undefined ? {} : { maxTickets }) })
  const meet = (node: string, name: string, more: { device?: string; gone?: { node: string; half: string } } = {}) =>
    tickets.meet(node, { uuid: 'x', name, device: '', ...more })
  return { clock, tickets, meet }
}

describe('a ticket', () => {
  it('lets the first half wait and sends the second to it', () => {
    const { tickets, meet } = book()
    tickets.issue('x', DEVICE)
    expect(tickets.outstanding()).toBe(1)
    expect(meet('one', 'b')).toEqual({ kind: 'wait', device: DEVICE })
    expect(meet('two', 'a', { device: DEVICE })).toEqual({ kind: 'join', node: 'one', half: 'b' })
    expect(tickets.outstanding()).toBe(1)
    tickets.met('x')
    expect(tickets.outstanding()).toBe(0)
  })

  it('answers the same when it is asked again', () => {
    const { tickets, meet } = book()
    tickets.issue('x', DEVICE)
    for (let i = 0; i < 2; i++) expect(meet('one', 'b').kind).toBe('wait')
    for (let i = 0; i < 2; i++) expect(meet('two', 'b').kind).toBe('join')
    expect(meet('three', 'b').kind).toBe('busy')
  })

  it('is needed, and for the device that the half names', () => {
    const { tickets, meet } = book()
    expect(meet('one', 'b').kind).toBe('no-ticket')
    tickets.issue('x', DEVICE)
    expect(meet('one', 'a', { device: '987654321' }).kind).toBe('wrong-device')
    expect(meet('one', 'b').kind).toBe('wait')
  })

  it('admits two halves, whether they met on one relay or across two', () => {
    for (const isAcross of [true, false]) {
      const { tickets, meet } = book()
      tickets.issue('x', DEVICE)
      meet('one', 'b')
      if (isAcross) meet('two', 'a')
      expect(meet('three', 'c').kind).toBe(isAcross ? 'busy' : 'join')
      tickets.met('x')
      tickets.issue('x', DEVICE)
      expect(meet('three', 'd').kind).toBe('used')
    }
  })

  it('gets back the place of a half that left while it waited', () => {
    const { tickets, meet } = book()
    tickets.issue('x', DEVICE)
    meet('one', 'b')
    tickets.leave('x', 'two', 'b')
    tickets.leave('x', 'one', 'b')
    expect(meet('two', 'b').kind).toBe('wait')
  })

  it('gets back the place of a half that left on its way to the other', () => {
    const { tickets, meet } = book()
    tickets.issue('x', DEVICE)
    meet('one', 'b')
    meet('two', 'a')
    tickets.leave('x', 'two', 'a')
    expect(meet('two', 'c')).toEqual({ kind: 'join', node: 'one', half: 'b' })
  })

  it('makes the second half the waiting one when the first has gone without a word', () => {
    const { tickets, meet } = book()
    tickets.issue('x', DEVICE)
    meet('one', 'b')
    meet('two', 'a')
    expect(meet('two', 'a', { gone: { node: 'one', half: 'b' } }).kind).toBe('wait')
    expect(meet('one', 'c')).toEqual({ kind: 'join', node: 'two', half: 'a' })
  })

  it('sends a half that comes back from nobody to the one that has come meanwhile', () => {
    const { tickets, meet } = book()
    tickets.issue('x', DEVICE)
    meet('one', 'b')
    meet('two', 'a')
    tickets.leave('x', 'one', 'b')
    expect(meet('three', 'b').kind).toBe('wait')
    expect(meet('two', 'a', { gone: { node: 'one', half: 'b' } })).toEqual({ kind: 'join', node: 'three', half: 'b' })
  })

  it('is good for a minute', () => {
    const { clock, tickets, meet } = book()
    tickets.issue('x', DEVICE)
    clock.pass(TICKET_MS - 1)
    expect(meet('one', 'b').kind).toBe('wait')
    clock.pass(1)
    expect(meet('two', 'a').kind).toBe('no-ticket')
    expect(tickets.size).toBe(0)
  })

  it('gives way when there are too many, the oldest first', () => {
    const { tickets, meet } = book(2)
    tickets.issue('x', DEVICE)
    tickets.issue('y', DEVICE)
    tickets.issue('z', DEVICE)
    expect(tickets.size).toBe(2)
    expect(meet('one', 'b').kind).toBe('no-ticket')
  })

  it('is outstanding only as long as was asked for', () => {
    const { clock, tickets } = book()
    tickets.issue('x', DEVICE)
    clock.pass(5_000)
    tickets.issue('y', DEVICE)
    expect(tickets.outstanding(1)).toBe(1)
  })
})
