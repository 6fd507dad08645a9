import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import { acceptStreams } from '../src/accept-streams.ts'
import type { AcceptedStream, Accepting } from '../src/accepted-stream.ts'

const opened: (Server | Socket)[] = []
afterEach(() => {
  for (const one of opened.splice(0)) {
    if ('destroy' in one) one.destroy()
    else one.close()
  }
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What a stream told its owner, in order. */
type Told = Uint8Array | 'ended' | 'closed'

async function meet(accepting: Accepting, host = '127.0.0.1') {
  const server = createServer({ allowHalfOpen: true })
  opened.push(server)
  const accepted = new Promise<AcceptedStream>((resolve) => acceptStreams(server, accepting, resolve))
  server.listen(0, host)
  await once(server, 'listening')
  const address = server.address() as { port: number }
  const client = connect({ port: address.port, host, allowHalfOpen: true })
  opened.push(client)
  const [stream] = await Promise.all([accepted, once(client, 'connect')])
  const told: Told[] = []
  stream.start({
    received: (bytes) => told.push(bytes),
    ended: () => told.push('ended'),
    closed: () => told.push('closed'),
  })
  return { stream, client, told }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('waited in vain')
    await new Promise(setImmediate)
  }
}

const bytesOf = (told: readonly Told[]) => Buffer.concat(told.filter((one) => typeof one !== 'string'))

describe.each<Accepting>(['raw', 'portable'])('accepting %s connections', (accepting) => {
  it('takes them that way on this version of Node', async () => {
    const { stream } = await meet(accepting)
    expect(stream.accepting).toBe(accepting)
  })

  it.each(['127.0.0.1', '::1'])('knows the address of a client at %s', async (host) => {
    const { stream, client } = await meet(accepting, host)
    expect(stream.remote).toEqual({ ip: host, port: client.localPort })
  })

  it('brings bytes that stay what they are while others arrive', async () => {
    const { client, told } = await meet(accepting)
    for (let i = 0; i < 20; i++) {
      client.write(Buffer.alloc(1_000, i))
      await until(() => bytesOf(told).length === (i + 1) * 1_000)
    }
    expect(bytesOf(told)).toEqual(Buffer.concat(Array.from({ length: 20 }, (_, i) => Buffer.alloc(1_000, i))))
  })

  it('sends frames whole and in order to a client that reads late', async () => {
    const { stream, client } = await meet(accepting)
    client.pause()
    // Small ones that share memory, large ones that do not; more than the kernel takes.
    const payloads = Array.from({ length: 4_000 }, (_, i) => Buffer.alloc(i % 5 === 0 ? 9_000 : 700, i))
    for (const payload of payloads) {
      stream.writeFrame(payload)
      payload.fill(0xff)
    }
    expect(stream.unsentBytes).toBeGreaterThan(0)
    stream.finish()
    expect(stream.isWritable).toBe(false)
    const received: Buffer[] = []
    client.on('data', (bytes) => received.push(bytes)).resume()
    await once(client, 'end')
    const wanted = payloads.map((payload, i) => encodeFrame(Buffer.alloc(payload.length, i)))
    expect(Buffer.concat(received).equals(Buffer.concat(wanted))).toBe(true)
  })

  it('sends a client that reads late nothing but its frames, whatever was collected and allocated meanwhile', async () => {
    const { stream, client } = await meet(accepting)
    client.pause()
    const payloads = Array.from({ length: 3_000 }, (_, i) => Buffer.alloc(i % 2 === 0 ? 9_000 : 700, 1))
    for (const payload of payloads) stream.writeFrame(payload)
    expect(stream.unsentBytes).toBeGreaterThan(0)
    const others: Buffer[] = []
    for (let round = 0; round < 5; round++) {
      collectGarbage()
      await new Promise(setImmediate)
      for (let i = 0; i < 1_000; i++) others.push(Buffer.alloc(4_096, 2), Buffer.alloc(9_002, 2))
    }
    stream.finish()
    const received: Buffer[] = []
    client.on('data', (bytes) => received.push(bytes)).resume()
    await once(client, 'end')
    expect(Buffer.concat(received).equals(Buffer.concat(payloads.map((payload) => encodeFrame(payload))))).toBe(true)
  })

  it('counts what many small frames cost for a client that does not read', async () => {
    const { stream, client } = await meet(accepting)
    client.pause()
    while (stream.unsentBytes === 0) stream.writeFrame(new Uint8Array(3_000))
    const before = stream.unsentBytes
    for (let i = 0; i < 100; i++) stream.writeFrame(new Uint8Array(2))
    expect(stream.unsentBytes - before).toBeGreaterThan(100 * 256)
    client.resume()
    await until(() => stream.unsentBytes === 0)
  })

  it('counts what the kernel has not taken, and forgets it once it has', async () => {
    const { stream, client } = await meet(accepting)
    client.pause()
    while (stream.unsentBytes === 0) stream.writeFrame(new Uint8Array(3_000))
    client.resume()
    await until(() => stream.unsentBytes === 0)
    expect(stream.isWritable).toBe(true)
  })

  it('tells that the client sends no more, and can still answer', async () => {
    const { stream, client, told } = await meet(accepting)
    client.end('last')
    await until(() => told.includes('ended'))
    stream.writeFrame(Buffer.from('answer'))
    const [answer] = await once(client, 'data')
    expect(answer).toEqual(Buffer.from(encodeFrame(Buffer.from('answer'))))
    expect(bytesOf(told).toString()).toBe('last')
    expect(told).not.toContain('closed')
  })

  it.each(['finishes it', 'destroys it', 'destroys it twice', 'loses it to a reset'])(
    'tells its owner once, and not at once, when the server %s',
    async (how) => {
      const { stream, client, told } = await meet(accepting)
      client.on('error', () => undefined)
      if (how.startsWith('loses')) client.resetAndDestroy()
      else if (how.startsWith('finishes')) stream.finish()
      else stream.destroy()
      if (how.endsWith('twice')) stream.destroy()
      expect(told).not.toContain('closed')
      await until(() => told.includes('closed'))
      expect(stream.isWritable).toBe(false)
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
      expect(told.filter((one) => one === 'closed')).toHaveLength(1)
    },
  )

  it('writes nothing to a stream that is gone', async () => {
    const { stream, told } = await meet(accepting)
    stream.destroy()
    stream.writeFrame(new Uint8Array(10))
    await until(() => told.includes('closed'))
    expect(stream.unsentBytes).toBe(0)
  })
})
