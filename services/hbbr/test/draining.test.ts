import { EventEmitter } from 'node:events'
import { afterEach, describe, expect, it } from '@jest/globals'
import { seeded } from '@tryst/relay/contract'
import { ParentTickets } from '../src/parent-tickets.ts'
import { relayClock } from '../src/relay-clock.ts'
import { requestRelay, TcpPeer, until } from './peers.ts'
import { type RunningRelay, startRelay, type TestOptions } from './running-relay.ts'

const DEVICE = '123456789'
const peers: TcpPeer[] = []

afterEach(() => {
  for (const peer of peers.splice(0)) peer.close()
})

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function open(relay: RunningRelay): Promise<TcpPeer> {
  const peer = await TcpPeer.open(relay.ports.tcp)
  peers.push(peer)
  return peer
}

/** A relay that gets tickets from its parent; `announced` where it cannot know who was sent to it by others. */
async function start(kind: 'announced' | 'ours', options: TestOptions = {}) {
  const source = new EventEmitter()
  const broker = new ParentTickets({ clock: relayClock, source })
  const steps: string[] = []
  const offers = {
    async withdraw() {
      steps.push('withdrawn')
    },
    ...(kind === 'ours' && { mayCome: (withinMs: number) => broker.outstanding(withinMs) > 0 }),
  }
  const relay = await startRelay({ drainMs: 60_000, ...options }, { broker, offers })
  const issue = (uuid: string) => source.emit('message', { ticket: { uuid, device: DEVICE } })
  return { relay, issue, steps }
}

/** Both halves come, the one some time after the other, and talk. */
async function session(relay: RunningRelay, uuid: string, betweenMs: number): Promise<string> {
  const b = await open(relay)
  b.send(requestRelay({ uuid }))
  b.sendBytes(Buffer.from('b'))
  await pause(betweenMs)
  const a = await open(relay)
  a.send(requestRelay({ uuid, id: DEVICE }))
  a.sendBytes(Buffer.from('a'))
  await until(`session ${uuid}`, () => (a.received.length > 0 && b.received.length > 0) || a.hasEnded || b.hasEnded)
  const words = `${b.received}${a.received}`
  a.close()
  return words
}

describe('a relay that is told to stop', () => {
  it.each(['announced', 'ours'] as const)(
    'lets a session come about that was offered a second before, 100 times (%s)',
    async (kind) => {
      const random = seeded(4)
      const rounds = Array.from({ length: 100 }, async (_, i) => {
        const { relay, issue, steps } = await start(kind, { offeredMs: 4_000 })
        issue(`${i}`)
        await pause(1_000)
        const closing = relay.hbbr.close()
        expect([steps, relay.hbbr.isDraining]).toEqual([['withdrawn'], true])
        await pause(random() * 1_500)
        const words = await session(relay, `${i}`, random() * 1_000)
        await closing
        return words
      })
      expect(await Promise.all(rounds)).toEqual(Array.from({ length: 100 }, () => 'ab'))
    },
    60_000,
  )

  it('goes on accepting for as long as it may have been offered', async () => {
    const { relay } = await start('announced', { offeredMs: 300 })
    const startedAt = performance.now()
    await relay.hbbr.close()
    expect(performance.now() - startedAt).toBeGreaterThan(290)
    await expect(open(relay)).rejects.toThrow()
  })

  it('stops at once when it knows that nobody is missing, or nobody was ever sent here', async () => {
    const { relay, issue } = await start('ours')
    issue('x')
    expect(await session(relay, 'x', 0)).toBe('ab')
    await until('it is over', () => relay.hbbr.relay.pairCount === 0)
    const alone = await startRelay()
    const startedAt = performance.now()
    await Promise.all([relay.hbbr.close(), alone.hbbr.close()])
    expect(performance.now() - startedAt).toBeLessThan(1_500)
  })

  it('waits for no withdrawal that hangs or fails', async () => {
    const failing = { withdraw: () => Promise.reject(new Error('away')), mayCome: () => false }
    const hanging = { withdraw: () => new Promise<void>(() => undefined), mayCome: () => false }
    for (const offers of [failing, hanging]) {
      const relay = await startRelay({}, { offers })
      await relay.hbbr.close()
      expect(relay.logLines.some((line) => line.includes('could not be told'))).toBe(offers === failing)
    }
  })

  it('says so in what it announces', async () => {
    const { relay } = await start('ours')
    const identity = { address: 'relay.example:21117', name: 'one', region: 'eu', capacityBitsPerSecond: 1e9 }
    expect(relay.hbbr.describe(identity)).toEqual({ ...identity, loadBitsPerSecond: 0, isDraining: false })
    const closing = relay.hbbr.close()
    expect(relay.hbbr.describe(identity).isDraining).toBe(true)
    await closing
  })

  it('lets sessions go on that came about meanwhile, for their time', async () => {
    const { relay, issue } = await start('announced', { offeredMs: 400, drainMs: 1_200 })
    issue('x')
    const closing = relay.hbbr.close()
    const [b, a] = [await open(relay), await open(relay)]
    b.send(requestRelay({ uuid: 'x' }))
    a.send(requestRelay({ uuid: 'x', id: DEVICE }))
    await until('they meet', () => relay.hbbr.relay.pairCount === 1)
    await pause(700)
    a.sendBytes(Buffer.from('still here'))
    await until('a word', () => String(b.received) === 'still here')
    await closing
    await until('both are cut', () => a.hasEnded && b.hasEnded)
  })
})
