import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type WebSocket as Accepted, WebSocketServer } from 'ws'
import { scaledClock, systemClock } from '../clock.ts'
import { ENDED } from '../inbox.ts'
import { dialWebSocket, type WebSocketLink } from './web-socket-link.ts'

// Node has the WebSocket of browsers too.
let server: WebSocketServer
let url: string

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
})

afterEach(() => {
  for (const client of server.clients) client.terminate()
  server.close()
})

const options = { clock: systemClock, limitMs: 10_000 }

async function openPair(): Promise<{ link: WebSocketLink; peer: Accepted }> {
  const [link, [peer]] = await Promise.all([dialWebSocket(url, options), once(server, 'connection')])
  return { link, peer: peer as Accepted }
}

describe('a link over the WebSocket of a browser', () => {
  it('carries whole payloads both ways', async () => {
    const { link, peer } = await openPair()
    const arrived = once(peer, 'message')
    expect(link.send(Uint8Array.of(1, 2, 3))).toBe(true)
    expect(new Uint8Array((await arrived)[0])).toEqual(Uint8Array.of(1, 2, 3))
    peer.send(Uint8Array.of(4, 5))
    expect(await link.next()).toEqual(Uint8Array.of(4, 5))
    await link.close()
  })

  it('says when it is full and when there is room again', async () => {
    const { link, peer } = await openPair()
    peer.pause()
    const block = new Uint8Array(1 << 20)
    let blocks = 1
    while (link.send(block)) blocks++
    let received = 0
    peer.on('message', (data: Buffer) => {
      received += data.length
    })
    peer.resume()
    await link.drained()
    expect(link.send(new Uint8Array(0))).toBe(true)
    await link.close()
    expect(received).toBe(blocks * block.length)
  })

  it('ends when the other side closes it in order', async () => {
    const { link, peer } = await openPair()
    peer.close()
    expect(await link.next()).toBe(ENDED)
    await link.closed
    expect(link.failure).toBeUndefined()
  })

  it('has failed when the connection was cut', async () => {
    const { link, peer } = await openPair()
    peer.terminate()
    expect(await link.next()).toBe(ENDED)
    await link.closed
    expect(link.failure?.message).toContain('broke')
  })

  it('breaks when more waits for a reader than memory should hold', async () => {
    const { link, peer } = await openPair()
    const block = new Uint8Array(16 << 20)
    for (let i = 0; i < 5; i++) peer.send(block)
    await link.closed
    expect(link.failure?.message).toContain('wait for a reader')
  })

  it('can be closed twice, and sends nothing after that', async () => {
    const { link } = await openPair()
    await Promise.all([link.close(), link.close()])
    expect(link.send(Uint8Array.of(1))).toBe(true)
    await link.drained()
  })
})

describe('dialling', () => {
  it.each([
    ['nobody listens', 'ws://127.0.0.1:9/'],
    ['the URL is none', 'http:// /'],
  ])('is refused when %s', async (_, bad) => {
    await expect(dialWebSocket(bad, options)).rejects.toMatchObject({ name: 'LinkError', reason: 'refused' })
  })

  it('is refused when there is no upgrade', async () => {
    server.shouldHandle = () => false
    await expect(dialWebSocket(url, options)).rejects.toMatchObject({ reason: 'refused' })
  })

  it('ends at its time limit', async () => {
    // An upgrade that nobody answers.
    server.handleUpgrade = () => undefined
    const clock = scaledClock(0.01)
    await expect(dialWebSocket(url, { clock, limitMs: 10_000 })).rejects.toMatchObject({ reason: 'timeout' })
  })

  it('ends when it is no longer wanted', async () => {
    const signal = AbortSignal.abort()
    await expect(dialWebSocket(url, { ...options, signal })).rejects.toMatchObject({ reason: 'aborted' })
  })
})
