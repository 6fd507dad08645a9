import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { type DeviceSession, nodeDialler, openLink, systemClock } from '@tryst/client'
import { encodeFrame, encodeRendezvous } from '@tryst/protocol'
import { exchange } from '../src/site/exchange.ts'
import { RawConnection } from '../src/site/raw-connection.ts'
import { Site } from '../src/site/site.ts'
import { Stream } from '../src/site/stream.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'
import type { TcpClient } from '../src/transcripts/tcp-client.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

type RelayPort = 'relay' | 'relayWebSocket'
const MIXES: readonly (readonly [RelayPort, RelayPort])[] = [
  ['relay', 'relay'],
  ['relay', 'relayWebSocket'],
  ['relayWebSocket', 'relay'],
  ['relayWebSocket', 'relayWebSocket'],
]
const MEBIBYTE = 1 << 20
const UNLIMITED = { SINGLE_BANDWIDTH: '20000', TOTAL_BANDWIDTH: '20000', LIMIT_SPEED: '20000' }

let site: Site

const request = (uuid: string) => ({ requestRelay: { uuid, licenceKey: site.key } })

async function half(port: RelayPort, uuid: string, from?: string): Promise<RawConnection> {
  const connection = await RawConnection.open(site, port, from ? { from } : {})
  connection.send(request(uuid))
  return connection
}

const word = async (connection: RawConnection) => Buffer.from(await connection.nextPayload()).toString()

async function expectJoined(first: RawConnection, second: RawConnection): Promise<void> {
  const [forth, back] = [randomUUID(), randomUUID()]
  first.sendPayload(Buffer.from(forth))
  second.sendPayload(Buffer.from(back))
  expect([await word(second), await word(first)]).toEqual([forth, back])
}

beforeAll(async () => {
  // The ID server is there for its key.
  site = await Site.start({ hbbr: { env: UNLIMITED } })
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

describe.each(MIXES)('two halves (%s, %s)', (first, second) => {
  it('meet, even when they come at the same instant: no pair is lost', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const connections = await Promise.all([RawConnection.open(site, first), RawConnection.open(site, second)])
        return connections
      }),
    )
    for (const connections of pairs) {
      const uuid = randomUUID()
      for (const each of connections) each.send(request(uuid))
    }
    await Promise.all(pairs.map(([a, b]) => expectJoined(a, b)))
  })

  it('get what was sent before they met, in order', async () => {
    const uuid = randomUUID()
    const device = await half(first, uuid)
    for (let i = 0; i < 50; i++) device.sendPayload(Buffer.from(`early ${i}`))
    const controller = await half(second, uuid)
    for (let i = 0; i < 50; i++) expect(await word(controller)).toBe(`early ${i}`)
    await expectJoined(device, controller)
  })

  it('get every payload as it was, whatever its size', async () => {
    const uuid = randomUUID()
    const [a, b] = [await half(first, uuid), await half(second, uuid)]
    for (const length of [1, 63, 64, 125, 126, 127, 16_383, 16_384, 65_535, 65_536, 1 << 20, (1 << 22) + 1]) {
      const payload = randomBytes(length)
      a.sendPayload(payload)
      expect(Buffer.compare(Buffer.from(await b.nextPayload(20_000)), payload)).toBe(0)
      b.sendPayload(payload)
      expect(Buffer.compare(Buffer.from(await a.nextPayload(20_000)), payload)).toBe(0)
    }
  })

  it('are left by a third, which begins a session of its own under the same name', async () => {
    const uuid = randomUUID()
    const [a, b] = [await half(first, uuid), await half(second, uuid)]
    await expectJoined(a, b)
    const [c, d] = [await half(first, uuid), await half(second, uuid)]
    await expectJoined(c, d)
    await expectJoined(a, b)
  })

  it('do not meet when the first has left', async () => {
    const uuid = randomUUID()
    const gone = await half(first, uuid)
    await site.hbbr.logged(new RegExp(`^New relay request ${uuid}`))
    gone.client.shutdownWriting()
    await gone.ended()
    const [a, b] = [await half(first, uuid), await half(second, uuid)]
    await expectJoined(a, b)
  })

  it('get what was sent before the other left, and then the end', async () => {
    const uuid = randomUUID()
    const [a, b] = [await half(first, uuid), await half(second, uuid)]
    await expectJoined(a, b)
    const payload = randomBytes(MEBIBYTE)
    a.sendPayload(payload)
    a.client.shutdownWriting()
    expect(Buffer.compare(Buffer.from(await b.nextPayload(20_000)), payload)).toBe(0)
    expect(await b.ended()).toBe('end')
  })
})

describe('two TCP halves', () => {
  it('get all of what the first sent ahead, even when it is much and the session is limited', async () => {
    const slow = await Site.start({ hbbr: { env: { SINGLE_BANDWIDTH: '16' } } })
    try {
      const hello = { requestRelay: { uuid: randomUUID(), licenceKey: slow.key } }
      const ahead = await RawConnection.open(slow, 'relay')
      ahead.send(hello)
      const payload = randomBytes(MEBIBYTE)
      ahead.sendPayload(payload)
      await slow.hbbr.logged(/^New relay request/)
      const second = await RawConnection.open(slow, 'relay')
      second.send(hello)
      expect(Buffer.compare(Buffer.from(await second.nextPayload(20_000)), payload)).toBe(0)
    } finally {
      await slow.close()
    }
  })

  it('get plain bytes without frames, as in a forwarded port', async () => {
    const uuid = randomUUID()
    const clients = [(await half('relay', uuid)).client, (await half('relay', uuid)).client] as [TcpClient, TcpClient]
    const bytes = randomBytes(100_000)
    for (const [from, to] of [clients, clients.toReversed()] as [TcpClient, TcpClient][]) {
      from.sendBytes(bytes)
      expect(Buffer.compare((await to.takeBytes(bytes.length, 10_000)) ?? Buffer.alloc(0), bytes)).toBe(0)
    }
  })
})

describe('a reader that stops', () => {
  const CHUNK = randomBytes(128 * 1024)
  const PAIRS = 10
  /** Read buffers and the kernel's buffers are not the process's; what it may hold of a pair (docs/protocol.md, relay). */
  const PER_PAIR_BYTES = 4 * MEBIBYTE

  async function pairOfStreams(): Promise<readonly [Stream, Stream]> {
    const uuid = randomUUID()
    const streams = await Promise.all([0, 1].map(() => Stream.open(site.server.host, site.ports.relay)))
    for (const stream of streams) site.guest(stream).socket.write(encodeFrame(encodeRendezvous(request(uuid))))
    return streams as [Stream, Stream]
  }

  it('holds its sender back, memory stays bounded, and everything arrives when it goes on', async () => {
    const pairs = await Promise.all(Array.from({ length: PAIRS }, pairOfStreams))
    const before = site.hbbr.residentBytes()
    await Promise.all(pairs.map(([sender]) => sender.writeUntilStalled(CHUNK)))
    expect(site.hbbr.residentBytes() - before).toBeLessThan(PAIRS * PER_PAIR_BYTES)
    for (const [sender, reader] of pairs) {
      const whole = sender.socket.bytesWritten
      const received = reader.readToEnd()
      sender.socket.end()
      const { bytes, sha256 } = await within('the rest arrives', received, 30_000)
      // Without the request, which was the relay's.
      const expected = createHash('sha256')
      for (let i = 0; i < bytes; i += CHUNK.length) expected.update(CHUNK)
      expect(bytes % CHUNK.length).toBe(0)
      expect(whole - bytes).toBeLessThan(300)
      expect(sha256).toBe(expected.digest('hex'))
    }
  })

  it('gets what was sent ahead to it, and nothing of what other sessions send at the same time', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const uuid = randomUUID()
        const [ahead, second] = [await RawConnection.open(site, 'relay'), await RawConnection.open(site, 'relay')]
        const payload = Buffer.alloc(100_000, i)
        ahead.send(request(uuid))
        ahead.sendPayload(payload)
        second.send(request(uuid))
        return { second, payload }
      }),
    )
    for (const { second, payload } of pairs) {
      expect(Buffer.compare(Buffer.from(await second.nextPayload(20_000)), payload)).toBe(0)
    }
  })

  it.each(MIXES.slice(1))('holds its sender back when messages are relayed, too (%s, %s)', async (from, to) => {
    const uuid = randomUUID()
    const open = async (port: RelayPort) => {
      const transport = port === 'relay' ? 'tcp' : 'websocket'
      const network = { server: site.server, dialler: nodeDialler, transport, clock: systemClock } as const
      const link = site.guest(await openLink(network, { host: site.server.host, port: site.ports.relay }))
      link.send(encodeRendezvous(request(uuid)))
      return link
    }
    // Links stop reading when 1 MiB waits for somebody to take it.
    const [sender, reader] = [await open(from), await open(to)]
    const before = site.hbbr.residentBytes()
    let sent = 0
    const drained = () =>
      within('the sender may go on', sender.drained(), 500).then(
        () => true,
        () => false,
      )
    do sent++
    while (sender.send(CHUNK) || (await drained()))
    expect(sent * CHUNK.length).toBeLessThan(64 * MEBIBYTE)
    expect(site.hbbr.residentBytes() - before).toBeLessThan(4 * PER_PAIR_BYTES)
    for (let i = 0; i < sent; i++) {
      const payload = await reader.next(20_000)
      expect(typeof payload === 'string' ? payload : Buffer.compare(payload, CHUNK)).toBe(0)
    }
  })

  it('does not stop the other direction, nor other sessions', async () => {
    const [sender, reader] = await pairOfStreams()
    await sender.writeUntilStalled(CHUNK)
    reader.socket.write(Buffer.from('the other way'))
    const [back] = await within(
      'bytes come the other way',
      new Promise<[Buffer]>((resolve) => sender.socket.once('data', (chunk) => resolve([chunk])).resume()),
    )
    expect(back.toString()).toBe('the other way')
    const uuid = randomUUID()
    await expectJoined(await half('relay', uuid), await half('relayWebSocket', uuid))
  })
})

describe('bandwidth', () => {
  it('is limited for each direction alone', async () => {
    const megabits = 4
    const limited = await Site.start({ hbbr: { env: { SINGLE_BANDWIDTH: `${megabits}` } } })
    try {
      const uuid = randomUUID()
      const both = await Promise.all([0, 1].map(() => RawConnection.open(limited, 'relay')))
      for (const each of both) each.send({ requestRelay: { uuid, licenceKey: limited.key } })
      const startedMs = performance.now()
      for (const each of both) each.sendPayload(randomBytes(MEBIBYTE))
      await Promise.all(both.map((each) => each.nextPayload(20_000)))
      const spentMs = performance.now() - startedMs
      // 1 MiB at 4 x 1024 x 1024 bits a second takes 2 s; a bucket for both together would need 4.
      expect(spentMs).toBeGreaterThan(1_700)
      expect(spentMs).toBeLessThan(3_700)
    } finally {
      await limited.close()
    }
  })
})

describe('blacklist.txt', () => {
  it('slows a running session down, which loses nothing', async () => {
    const slowing = await Site.start({ hbbr: { env: { ...UNLIMITED, LIMIT_SPEED: '200' } } })
    try {
      const device = await slowing.device({ password: 'pw', localAddress: '127.0.9.2' })
      const theirs = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
      const controller = slowing.controller({ localAddress: '127.0.9.1' })
      const ours = await controller.connect(device.id, { password: 'pw', forceRelay: true })
      const exchanged = exchange(ours, await theirs, 48 * MEBIBYTE)
      writeFileSync(join(slowing.folder, 'blacklist.txt'), '127.0.9.0/24\n')
      slowing.hbbr.signal('SIGHUP')
      const { forth, back } = await exchanged
      expect([forth.received, back.received]).toEqual([forth.sent, back.sent])
    } finally {
      await slowing.close()
    }
  })
})

describe('blocklist.txt', () => {
  const file = () => join(site.folder, 'blocklist.txt')

  it.each(MIXES.slice(0, 2))(
    'is read again on SIGHUP, with ranges, and ends running sessions (%s, %s)',
    async (a, b) => {
      const uuid = randomUUID()
      const [first, second] = [await half(a, uuid, '127.0.9.1'), await half(b, uuid, '127.0.9.2')]
      await expectJoined(first, second)
      writeFileSync(file(), '127.0.9.0/24 a remark\n203.0.113.1\n')
      try {
        site.hbbr.signal('SIGHUP')
        await first.ended(10_000)
        await second.ended(10_000)
        for (const port of [a, b]) {
          const refused = await half(port, randomUUID(), '127.0.9.3').catch((error: Error) => error)
          if (!(refused instanceof Error)) await refused.ended()
        }
        const other = randomUUID()
        await expectJoined(await half(a, other), await half(b, other))
      } finally {
        rmSync(file())
        site.hbbr.signal('SIGHUP')
      }
      await waitUntil('the address is served again', async () => {
        const again = randomUUID()
        const joined = Promise.all([half(a, again, '127.0.9.1'), half(b, again, '127.0.9.2')])
        return joined
          .then(([one, two]) => expectJoined(one, two))
          .then(
            () => true,
            () => false,
          )
      })
    },
  )
})
