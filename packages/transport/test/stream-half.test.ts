import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { HalfListener } from '@tryst/relay'
import { StreamHalf } from '../src/stream-half.ts'

const ends: (() => void)[] = []

afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** Both ends of a connection. */
const STREAMS: Record<string, () => Promise<readonly [Duplex, Duplex]>> = {
  async TCP() {
    const server = createServer({ allowHalfOpen: true })
    const port = await listen(server)
    const accepted = once(server, 'connection')
    const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const [far] = (await accepted) as [Socket]
    return keep(near, far)
  },
  async 'TLS with a shared key'() {
    const ciphers = 'PSK-AES128-GCM-SHA256'
    const psk = randomBytes(32)
    const settings = { ciphers, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', allowHalfOpen: true } as const
    const server = createTlsServer({ ...settings, pskCallback: () => psk })
    const port = await listen(server)
    const accepted = once(server, 'secureConnection')
    const options = { ...settings, port, host: '127.0.0.1', checkServerIdentity: () => undefined }
    const near = connectTls({ ...options, pskCallback: () => ({ psk, identity: 'node' }) })
    const [far] = (await accepted) as [TLSSocket]
    return keep(near, far)
  },
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => server.close())
  return (server.address() as { port: number }).port
}

function keep(near: Duplex, far: Duplex): readonly [Duplex, Duplex] {
  for (const stream of [near, far]) {
    stream.on('error', () => undefined)
    ends.push(() => stream.destroy())
  }
  return [near, far]
}

const until = async (what: string, condition: () => boolean) => {
  const end = performance.now() + 5_000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come about`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

class Ear implements HalfListener {
  readonly parts: Buffer[] = []
  readonly heard: string[] = []
  isWilling = true

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  onBytes(bytes: Uint8Array): boolean {
    this.parts.push(Buffer.from(bytes))
    return this.isWilling
  }
  onActivity(): void {}
  onDrain(): void {
    this.heard.push('drain')
  }
  onOversized(): void {}
  onEnd(): void {
    this.heard.push('end')
  }
  onClose(): void {
    this.heard.push('close')
  }
}

describe.each(Object.keys(STREAMS))('a half at the end of a stream over %s', (name) => {
  async function open() {
    const [near, far] = await (STREAMS[name] as () => Promise<readonly [Duplex, Duplex]>)()
    const half = new StreamHalf(near)
    const ear = new Ear()
    return { half, ear, far, near }
  }

  it('hands over what came before anybody listened, and what comes then', async () => {
    const { half, ear, far } = await open()
    far.write('early ')
    await new Promise((resolve) => setTimeout(resolve, 20))
    half.listen(ear)
    far.write('late')
    await until('all of it', () => String(ear.bytes) === 'early late')
  })

  it('sends bytes as they are and messages as frames', async () => {
    const { half, ear, far } = await open()
    half.listen(ear)
    let received = Buffer.alloc(0)
    far.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
    })
    half.writeBytes(Buffer.from('raw'))
    half.writeMessage(Buffer.from('hello'))
    await until('all of it', () => String(received) === 'raw\x14hello')
    await until('the word that it has left', () => !half.hasUnsent && ear.heard.includes('drain'))
  })

  it('reads no further while the listener is not willing', async () => {
    const { half, ear, far } = await open()
    ear.isWilling = false
    half.listen(ear)
    const sent = randomBytes(8 * 1024 * 1024)
    far.write(sent)
    await until('a first piece', () => ear.parts.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(ear.parts.length).toBe(1)
    ear.isWilling = true
    half.resume()
    await until('the rest', () => ear.bytes.length === sent.length)
    expect(ear.bytes.equals(sent)).toBe(true)
  })

  it('says what has not left, and when it has', async () => {
    const { half, ear, far } = await open()
    half.listen(ear)
    const chunk = Buffer.alloc(256 * 1024, 1)
    for (let i = 0; i < 64; i++) half.writeBytes(chunk)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(half.hasUnsent).toBe(true)
    expect(ear.heard).toEqual([])
    const before = half.unsentBytes
    far.resume()
    await until('drain', () => ear.heard.includes('drain'))
    expect([half.unsentBytes, before > 0]).toEqual([0, true])
  })

  it('goes on reading when it has ended its own direction, and the other way round', async () => {
    const { half, ear, far } = await open()
    half.listen(ear)
    let hasEnded = false
    far.on('end', () => {
      hasEnded = true
    })
    far.resume()
    half.end()
    await until('the end', () => hasEnded)
    far.write('last words')
    far.end()
    await until('the last words', () => String(ear.bytes) === 'last words' && ear.heard.includes('end'))
  })

  it('still sends when the other direction has ended', async () => {
    const { half, ear, far } = await open()
    half.listen(ear)
    let received = ''
    far.on('data', (bytes) => {
      received += bytes
    })
    far.end()
    await until('the end', () => ear.heard.includes('end'))
    half.writeBytes(Buffer.from('last words'))
    half.close()
    await until('the last words', () => received === 'last words')
    await until('the end of the connection', () => far.readableEnded)
  })

  it('closes after what was written, though bytes that nobody wants go on coming', async () => {
    const { half, ear, far } = await open()
    half.listen(ear)
    let received = 0
    far.on('data', (bytes) => {
      received += bytes.length
    })
    const noise = setInterval(() => far.write('noise'), 1)
    ends.push(() => clearInterval(noise))
    const words = Buffer.alloc(4 * 1024 * 1024, 1)
    half.writeBytes(words)
    half.close()
    await until('all of it', () => received === words.length)
    expect(ear.heard).toEqual([])
  })

  it('tells that the connection is gone, even to who listens only then', async () => {
    const { half, ear, far, near } = await open()
    half.listen(ear)
    far.destroy()
    await until('the news', () => ear.heard.includes('end') || ear.heard.includes('close'))
    const late = new StreamHalf(near)
    near.destroy()
    const lateEar = new Ear()
    late.listen(lateEar)
    await until('the late news', () => lateEar.heard.includes('close'))
  })
})
