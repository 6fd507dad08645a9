import { createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import { isRecordedAnswer } from './console-client.ts'
import { encodeWith } from './messages.ts'
import { Replay } from './replay.ts'
import type { ScriptedClient, Step } from './transcript.ts'

const HEARTBEAT = '320d0a093132333435363738391003'
const REFUSAL = '5a021803'

describe('a replay', () => {
  let server: Server
  let port = 0
  let answer: (socket: Socket) => void = () => {}

  beforeAll(async () => {
    server = createServer((socket) => {
      socket.once('data', () => answer(socket))
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as { port: number }).port
  })

  afterAll(() => {
    server.close()
  })

  async function replay(...steps: Step[]): Promise<string[]> {
    const clients = { A: { transport: 'tcp', port: 'main', ip: '127.0.0.2', to: '127.0.0.1' } } as const
    const ports = { main: port, nat: port, ws: port, relay: port, relayWs: port }
    const transcript = { name: 'test', clients, steps: [{ open: 'A' }, { send: 'A', hex: HEARTBEAT }, ...steps] }
    const servers = { stop: async () => {}, start: async () => {} }
    const place = (client: ScriptedClient) => ({ ...client, to: '127.0.0.1' })
    const network = { ports, place, canPlay: () => true, canTake: () => true }
    const found = await new Replay('group', transcript, servers, network).run()
    return found.map(({ step, found: text }) => `${step}: ${text}`)
  }

  const refused = { expect: 'A', hex: REFUSAL, fields: { punch_hole_response: { failure: 'LICENSE_MISMATCH' } } }
  const ended = { expectClosed: 'A', how: 'end' } as const
  const answerRefused = (socket: Socket) => socket.write(encodeFrame(Buffer.from(REFUSAL, 'hex')))

  it('finds nothing where the server does what was recorded', async () => {
    answer = (socket) => {
      answerRefused(socket)
      socket.end()
    }
    expect(await replay(refused, ended)).toEqual([])
  })

  it('notices another message', async () => {
    answer = (socket) => socket.write(encodeFrame(Buffer.from('5a021802', 'hex')))
    expect(await replay(refused)).toEqual(['2: A receives { punch_hole_response: { failure: "OFFLINE" } }'])
  })

  it('notices an unknown field', async () => {
    answer = (socket) => socket.write(encodeFrame(Buffer.from('5a051803980601', 'hex')))
    expect(await replay(refused)).toHaveLength(1)
  })

  it('notices that nothing comes, and what came instead', async () => {
    answer = (socket) => socket.end()
    expect(await replay(refused)).toEqual(['2: A is closed'])
    answer = (socket) => socket.resetAndDestroy()
    expect(await replay(refused)).toEqual(['2: A is reset'])
  })

  it('notices a message where there should be none, also before the end', async () => {
    answer = (socket) => {
      answerRefused(socket)
      socket.end()
    }
    expect(await replay({ expectNothing: 'A', forMs: 100 })).toHaveLength(1)
    expect(await replay(ended)).toEqual(['2: A receives { punch_hole_response: { failure: "LICENSE_MISMATCH" } }'])
  })

  it('notices a connection that closes too early or not at all', async () => {
    answer = (socket) => socket.end()
    expect(await replay({ expectNothing: 'A', forMs: 100, stillOpen: true })).toEqual(['2: A is closed'])
    expect(await replay({ ...ended, afterMs: 5000 })).toEqual(['2: A is closed after 0 s'])
    answer = () => {}
    expect(await replay(ended)).toEqual(['2: A stays open'])
  })

  it('gives a device back the handle that it was told, and the plain address otherwise', async () => {
    const received: string[] = []
    const handle = '4fc3ffff01009401e40e'
    answer = (socket) => {
      socket.write(encodeFrame(Buffer.from(`4a0c0a0a${handle}`, 'hex')))
      socket.on('data', (data) => received.push(data.subarray(1).toString('hex')))
    }
    const sent = {
      send: 'A',
      hex: `52030a0100`,
      substitute: { 'punch_hole_sent.socket_addr': { mangledAddressOf: 'A' } },
    }
    const told = { 'punch_hole.socket_addr': { mangledAddressOf: 'A' } }
    const push = { expect: 'A', hex: '', fields: { punch_hole: { socket_addr: handle } }, varies: told }
    expect(await replay(push, sent, { wait: 50 })).toEqual([
      '2: A receives { punch_hole: { socket_addr: "203.0.113.7:50000" } }',
    ])
    expect(received).toEqual([`520c0a0a${handle}`])
    await replay(sent, { wait: 50 })
    expect(received[1]).not.toBe(received[0])
  })
})

describe('a recorded message', () => {
  it('is sent with one field filled in anew and unknown fields behind the known ones', () => {
    const bytes = encodeWith('52070a01ff12023132', 'punch_hole_sent.socket_addr', Uint8Array.of(1, 2), 'fa0601ff')
    expect(Buffer.from(bytes).toString('hex')).toBe('520c0a0201021202313' + '2fa0601ff')
  })
})

describe('a recorded console answer', () => {
  const step = { console: 'nat', answer: '' } as const

  it('is compared as it is, without an order, or by patterns', () => {
    expect(isRecordedAnswer({ ...step, answer: 'a\nb\n' }, 'b\na\n')).toBe(false)
    expect(isRecordedAnswer({ ...step, answer: 'a\nb\n', anyOrder: true }, 'b\na\n')).toBe(true)
    const linePatterns = ['^1$', '^x: \\d+s$']
    expect(isRecordedAnswer({ ...step, linePatterns }, '1\nx: 12s\n')).toBe(true)
    expect(isRecordedAnswer({ ...step, linePatterns }, 'x: 12s\n1\n')).toBe(false)
    expect(isRecordedAnswer({ ...step, linePatterns, anyOrder: true }, 'x: 12s\n1\n')).toBe(true)
    expect(isRecordedAnswer({ ...step, linePatterns }, '1\nx: 12s\ny\n')).toBe(false)
  })

  it('may have the entries of a printed map in any order', () => {
    const linePatterns = ['^1: \\d+s \\{"a": 1, "b": 2\\}$']
    expect(isRecordedAnswer({ ...step, linePatterns }, '1: 3s {"b": 2, "a": 1}\n')).toBe(true)
    expect(isRecordedAnswer({ ...step, linePatterns }, '1: 3s {"b": 1, "a": 2}\n')).toBe(false)
  })
})
