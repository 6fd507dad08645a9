import { PassThrough } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import type { Meeting } from '@tryst/relay'
import type { NodeId } from '@tryst/rendezvous'
import type { IntroducedSession } from '@tryst/state-redis'
import { SharedBroker } from './shared-broker.ts'

const half = { uuid: 'u', name: 'h', device: '' }

function broker({
  meeting,
  introduced = { kind: 'nobody-answers' },
  requiresTickets = true,
  stream = 'gone',
}: {
  meeting: Meeting
  introduced?: IntroducedSession
  requiresTickets?: boolean
  stream?: PassThrough | 'gone' | Error
}) {
  const told: string[] = []
  const sessions = {
    requiresTickets,
    meet: async () => meeting,
    met: (uuid: string) => void told.push(`met ${uuid}`),
    leave: (uuid: string, name: string) => void told.push(`leave ${uuid} ${name}`),
    askIntroduced: async () => introduced,
  }
  const links = {
    openStream: async () => {
      if (stream instanceof Error) throw stream
      return stream
    },
  }
  const nodes = {
    others: new Map(),
    find: async (incarnation: NodeId) =>
      incarnation === 'near'
        ? { role: 'relay' as const, name: 'near', address: '127.0.0.1:1', version: '0', incarnation }
        : undefined,
  }
  return { broker: new SharedBroker(sessions, links, nodes), told }
}

describe('where halves meet', () => {
  it('is what Redis says', async () => {
    for (const kind of ['no-ticket', 'wrong-device', 'used', 'busy'] as const) {
      expect(await broker({ meeting: { kind } }).broker.meet(half)).toEqual({ kind })
    }
  })

  it('is what ID servers say of the session while Redis is away', async () => {
    const ask = (introduced: IntroducedSession, device = '') =>
      broker({ meeting: { kind: 'unavailable' }, introduced }).broker.meet({ ...half, device })
    expect(await ask({ kind: 'introduced', device: '7' })).toEqual({ kind: 'wait', device: '7' })
    expect(await ask({ kind: 'introduced', device: '7' }, '7')).toEqual({ kind: 'wait', device: '7' })
    expect(await ask({ kind: 'introduced', device: '7' }, '8')).toEqual({ kind: 'wrong-device' })
    expect(await ask({ kind: 'unknown' })).toEqual({ kind: 'no-ticket' })
    expect(await ask({ kind: 'nobody-answers' })).toEqual({ kind: 'unavailable' })
  })

  it('is nobody’s business but Redis’ where no tickets are asked for', async () => {
    const open = broker({ meeting: { kind: 'unavailable' }, introduced: { kind: 'unknown' }, requiresTickets: false })
    expect(await open.broker.meet(half)).toEqual({ kind: 'unavailable' })
  })

  it('is closed to a session that came about here, by whatever word of an ID server', async () => {
    const introduced = { kind: 'introduced', device: '7' } as const
    const { broker: shared, told } = broker({ meeting: { kind: 'unavailable' }, introduced })
    shared.met('u')
    expect(await shared.meet(half)).toEqual({ kind: 'used' })
    expect(await shared.meet({ ...half, uuid: 'v' })).toEqual({ kind: 'wait', device: '7' })
    shared.leave('v', 'h')
    expect(told).toEqual(['met u', 'leave v h'])
  })
})

describe('a half on another relay', () => {
  const dial = (stream: PassThrough | 'gone' | Error, node = 'near') =>
    broker({ meeting: { kind: 'no-ticket' }, stream }).broker.dial(node, 'u', 'h', 'tcp')

  it('is reached over a stream', async () => {
    const reached = await dial(new PassThrough())
    expect(reached?.transport).toBe('tcp')
    reached?.destroy()
  })

  it('has gone with its relay, by itself, or with the way there', async () => {
    expect(await dial(new PassThrough(), 'dead')).toBeUndefined()
    expect(await dial('gone')).toBeUndefined()
    expect(await dial(new Error('cut'))).toBeUndefined()
  })
})
