import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { NodeId } from '@tryst/rendezvous'
import type { NodeLinkLimits, StreamOpening } from '../src/index.ts'
import { closeNodes, REAL_DEADLINE, startNode, until } from './nodes.ts'

const OPENING = { uuid: '0b6f2cf6-0f0a-4dcb-9a4e-0d5b1d1b5f3a', half: 'half 1', webSocket: true }
const streams: Duplex[] = []

afterEach(() => {
  closeNodes()
  for (const stream of streams.splice(0)) stream.destroy()
})

async function startPair(
  onOpen: (stream: Duplex, opening: StreamOpening) => void = () => undefined,
  limits: Partial<NodeLinkLimits> = REAL_DEADLINE,
) {
  const accepted: Duplex[] = []
  const far = await startNode({
    limits,
    onStream: (opening, stream) => {
      if (opening.half === 'gone') return false
      accepted.push(stream)
      streams.push(stream)
      stream.on('error', () => undefined)
      onOpen(stream, opening)
      return true
    },
  })
  const near = await startNode({ limits })
  const open = async (opening: StreamOpening = OPENING): Promise<Duplex> => {
    const stream = await near.links.openStream(far.target, opening)
    if (stream === 'gone') throw new Error('gone')
    streams.push(stream)
    stream.on('error', () => undefined)
    return stream
  }
  return { near, far, open, accepted }
}

function collect(stream: Duplex) {
  const chunks: Buffer[] = []
  let hasEnded = false
  stream.on('data', (bytes: Buffer) => chunks.push(bytes))
  stream.on('end', () => {
    hasEnded = true
  })
  stream.resume()
  return { text: () => Buffer.concat(chunks).toString(), hasEnded: () => hasEnded }
}

describe('streams between nodes', () => {
  it('carry bytes as they are, from the first that the waiting half writes', async () => {
    const openings: StreamOpening[] = []
    const { open } = await startPair((stream, opening) => {
      openings.push(opening)
      // As a half does that has bytes in store for its partner.
      stream.write('early')
      stream.on('data', (bytes) => stream.write(bytes))
      stream.resume()
    })
    const stream = await open()
    const { text } = collect(stream)
    stream.write(' and echoed')
    await until('all has come', () => text() === 'early and echoed')
    expect(openings).toEqual([OPENING])
  })

  it('are refused where nobody waits, without an error', async () => {
    const { near, far } = await startPair()
    expect(await near.links.openStream(far.target, { ...OPENING, half: 'gone' })).toBe('gone')
    expect([...near.log, ...far.log]).toEqual([])
  })

  it('keep one direction open when the other ends, whichever it is', async () => {
    for (const first of ['near', 'far'] as const) {
      const { open, accepted } = await startPair()
      const near = await open()
      const far = accepted[0] as Duplex
      const [ending, staying] = first === 'near' ? [near, far] : [far, near]
      const [atEnding, atStaying] = [collect(ending), collect(staying)]
      ending.end('last words')
      await until('the end has come', () => atStaying.hasEnded())
      expect(atStaying.text()).toBe('last words')
      staying.write('still ')
      await until('it is heard', () => atEnding.text() === 'still ')
      staying.end('here')
      await until('both have ended', () => atEnding.hasEnded())
      expect(atEnding.text()).toBe('still here')
      await until('both are closed', () => ending.destroyed && staying.destroyed)
      closeNodes()
    }
  })

  it('stop the writer when the reader stops, and lose nothing', async () => {
    const { open, accepted } = await startPair()
    const near = await open()
    const far = accepted[0] as Duplex
    // Nobody reads at the far end.
    const chunk = Buffer.alloc(65_536, 7)
    let written = 0
    let isStuck = false
    while (!isStuck) {
      written += chunk.length
      if (near.write(chunk)) continue
      isStuck = await Promise.race([
        new Promise<boolean>((resolve) => near.once('drain', () => resolve(false))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 500)),
      ])
      expect(written).toBeLessThan(64 * 1024 * 1024)
    }
    expect(far.readableLength).toBeLessThan(1024 * 1024)
    let read = 0
    far.on('data', (bytes: Buffer) => {
      read += bytes.length
    })
    far.resume()
    near.end()
    await until('all of it has come', () => read === written)
  })

  it('close with the other side', async () => {
    const { open, accepted } = await startPair()
    const near = await open()
    near.resume()
    accepted[0]?.destroy()
    await until('it is closed or ended', () => near.readableEnded || near.destroyed)
  })

  it('outlive the links and the listener that they came by', async () => {
    const { open, accepted, near: node, far } = await startPair()
    const stream = await open()
    const { text } = collect(stream)
    node.links.close()
    far.links.close()
    accepted[0]?.write('still here')
    await until('it has come', () => text() === 'still here')
  })

  it('leave nothing behind: a thousand one after the other, and two hundred at once', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length
    // What is to be seen is that all of them come to an end, on whatever machine.
    const patient = { streamDeadlineMs: 30_000, proofDeadlineMs: 30_000 }
    const { open, accepted } = await startPair((stream) => {
      stream.on('end', () => stream.end())
      stream.resume()
    }, patient)
    const use = async (): Promise<void> => {
      const stream = await open()
      stream.resume()
      stream.end('x')
      await new Promise((resolve) => stream.once('close', resolve))
    }
    await use()
    const before = descriptors()
    for (let n = 0; n < 1_000; n++) await use()
    await Promise.all(Array.from({ length: 200 }, use))
    expect(accepted).toHaveLength(1_201)
    await until('the far ends are closed too', () => accepted.every((stream) => stream.destroyed))
    await until('the descriptors are given back', () => descriptors() <= before)
    streams.length = 0
  }, 60_000)

  it('are given up after 2 s where nobody answers', async () => {
    const { near } = await startPair()
    const mute = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const { port } = mute.address() as AddressInfo
    const nobody = { incarnation: 'nobody' as NodeId, address: `127.0.0.1:${port}` }
    const startMs = performance.now()
    const tookMs = () => performance.now() - startMs
    const question = near.links.hasStore(nobody).catch((error: { reason: string }) => [error.reason, tookMs()])
    await expect(near.links.openStream(nobody, OPENING)).rejects.toMatchObject({ reason: 'deadline' })
    expect(tookMs()).toBeGreaterThan(1_900)
    expect(tookMs()).toBeLessThan(2_500)
    // A question does not wait for as long as its connection may take.
    expect(await question).toEqual(['deadline', expect.any(Number)])
    expect(((await question) as [string, number])[1]).toBeLessThan(400)
    mute.close()
  })

  it('are not opened to the process that has taken the address of another', async () => {
    const { near, far } = await startPair()
    const old = { incarnation: 'old' as NodeId, address: far.target.address }
    await expect(near.links.openStream(old, OPENING)).rejects.toMatchObject({ reason: 'other-incarnation' })
  })

  it('for a session with an endless name are refused before anything is sent', async () => {
    const { near, far } = await startPair()
    const endless = { ...OPENING, uuid: 'x'.repeat(2_000) }
    await expect(near.links.openStream(far.target, endless)).rejects.toMatchObject({ reason: 'too-large' })
    expect(far.log).toEqual([])
  })
})
