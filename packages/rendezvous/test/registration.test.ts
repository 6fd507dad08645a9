import { describe, expect, it } from '@jest/globals'
import { encodeRendezvous, rendezvous } from '@tryst/protocol'
import { TestBench } from './test-bench.ts'

const { Result } = rendezvous.RegisterPkResponse
const HOME = '203.0.113.9'
const ELSEWHERE = '203.0.113.77'

describe('registration over UDP', () => {
  it('asks an unknown device for its key, and not again once it has it', async () => {
    const bench = new TestBench()
    expect(await bench.heartbeat('123456789', HOME)).toBe(true)
    expect(await bench.register('123456789', HOME)).toBe(Result.OK)
    expect(await bench.heartbeat('123456789', HOME)).toBe(false)
  })

  it('is online at once after RegisterPk when a restart finds the device known', async () => {
    const bench = new TestBench()
    await bench.register('123456789', HOME)
    bench.server.presence.remove('123456789' as never)
    const writes = bench.identities.writes
    expect(await bench.register('123456789', HOME)).toBe(Result.OK)
    expect(bench.server.presence.isOnline('123456789' as never, bench.nowMs)).toBe(true)
    expect(bench.identities.writes).toBe(writes)
  })

  it('asks for the key when the IP changes', async () => {
    const bench = new TestBench()
    await bench.register('123456789', HOME)
    expect(await bench.heartbeat('123456789', ELSEWHERE)).toBe(true)
    expect(await bench.register('123456789', ELSEWHERE)).toBe(Result.OK)
    expect(bench.identities.rows.get('123456789' as never)?.ip).toBe(ELSEWHERE)
  })

  it.each(['127.0.0.1', '::1'])(
    'lets nobody take a device over by way of a proxy on this host, at %s',
    async (proxy) => {
      const bench = new TestBench()
      await bench.register('123456789', HOME)
      expect(await bench.heartbeat('123456789', proxy, 4_000)).toBe(true)
      expect(bench.server.presence.find('123456789' as never, bench.nowMs)).toMatchObject({ ip: HOME, port: 1_000 })
      await bench.register('123456789', proxy, { port: 4_000 })
      expect(await bench.heartbeat('123456789', proxy, 5_000)).toBe(true)
      expect(bench.server.presence.find('123456789' as never, bench.nowMs)).toMatchObject({ ip: proxy, port: 4_000 })
    },
  )

  it('says OK only when the store has accepted the write', async () => {
    const bench = new TestBench()
    bench.identities.failing = true
    expect(await bench.register('123456789', HOME)).toBe(Result.SERVER_ERROR)
    bench.identities.failing = false
    expect(await bench.register('123456789', HOME)).toBe(Result.OK)
  })

  it('stores what was sent although the next datagrams take its place in memory before the store has it', async () => {
    const bench = new TestBench()
    const memory = Buffer.alloc(256)
    const ids = ['111111111', '222222222', '333333333']
    for (const [i, id] of ids.entries()) {
      const registerPk = { id, uuid: Buffer.from(`uuid ${id}`), pk: new Uint8Array(32).fill(i + 1) }
      const bytes = encodeRendezvous({ registerPk })
      memory.set(bytes)
      bench.server.onDatagram(memory.subarray(0, bytes.length), HOME, 1000 + i, bench.datagrams)
    }
    memory.fill(0xff)
    await bench.settled()
    for (const [i, id] of ids.entries()) {
      const stored = bench.identities.rows.get(id as never)
      expect(Buffer.from(stored?.uuid ?? []).toString()).toBe(`uuid ${id}`)
      expect([...(stored?.publicKey ?? [])]).toEqual(new Array(32).fill(i + 1))
      expect(await bench.heartbeat(id, HOME, 1000 + i)).toBe(false)
    }
  })

  it('refuses another uuid once for a source and is then silent', async () => {
    const bench = new TestBench()
    await bench.register('123456789', HOME)
    expect(await bench.register('123456789', ELSEWHERE, { uuid: 'other' })).toBe(Result.UUID_MISMATCH)
    expect(await bench.register('123456789', ELSEWHERE, { uuid: 'other' })).toBeUndefined()
    expect(await bench.register('123456789', ELSEWHERE, { uuid: 'other', port: 1001 })).toBe(Result.UUID_MISMATCH)
    bench.nowMs += 30_000
    expect(await bench.register('123456789', ELSEWHERE, { uuid: 'other' })).toBe(Result.UUID_MISMATCH)
  })

  it('accepts no other key where the uuid is the key that every controller is told, not even from the stored IP', async () => {
    const bench = new TestBench()
    const uuid = '\u0001'.repeat(32)
    expect(await bench.register('123456789', HOME, { uuid, key: 1 })).toBe(Result.OK)
    expect(await bench.register('123456789', HOME, { uuid, key: 2 })).toBe(Result.NOT_DEPLOYED)
    expect(bench.identities.rows.get('123456789' as never)?.publicKey).toEqual(new Uint8Array(32).fill(1))
    expect(await bench.register('123456789', HOME, { uuid, key: 1 })).toBe(Result.OK)
  })

  it('accepts another key from the stored IP only', async () => {
    const bench = new TestBench()
    await bench.register('123456789', HOME)
    expect(await bench.register('123456789', ELSEWHERE, { key: 2 })).toBe(Result.NOT_DEPLOYED)
    expect(await bench.register('123456789', HOME, { key: 2 })).toBe(Result.OK)
  })

  it('lets a new key from elsewhere wait for the operator, as often as it asks, and never throws the id away', async () => {
    const bench = new TestBench()
    await bench.register('123456789', HOME)
    for (let times = 0; times < 5; times++) {
      expect(await bench.register('123456789', ELSEWHERE, { key: 2 })).toBe(Result.NOT_DEPLOYED)
      bench.nowMs += 30_000
    }
    const [listed] = await bench.access.listed()
    const refusal = `newKeyRefused 123456789 ${ELSEWHERE}:1000 ${HOME}`
    expect(bench.events.filter((event) => event === refusal)).toHaveLength(5)
    expect(listed).toMatchObject({ id: '123456789', why: 'key-changed', state: 'pending', ip: ELSEWHERE })
    expect(bench.identities.rows.get('123456789' as never)?.publicKey[0]).toBe(1)
    await bench.access.decide(listed as never, 'approved')
    expect(await bench.register('123456789', ELSEWHERE, { key: 2 })).toBe(Result.OK)
    expect(bench.identities.rows.get('123456789' as never)?.publicKey[0]).toBe(2)
    expect(await bench.register('123456789', HOME, { key: 1 })).toBe(Result.NOT_DEPLOYED)
  })

  it('asks again later where the store is not sure of the key', async () => {
    const bench = new TestBench()
    await bench.register('123456789', HOME)
    bench.identities.standing = 'uncertain'
    expect(await bench.register('123456789', ELSEWHERE, { key: 2 })).toBe(Result.SERVER_ERROR)
    expect(await bench.access.listed()).toEqual([])
  })

  describe('from another address than the one that the device registered at', () => {
    const push = (bench: TestBench) => {
      bench.sent.length = 0
      return { punched: bench.server.presence.find('123456789' as never, bench.nowMs) }
    }

    it.each([
      ['another IP', ELSEWHERE, 1000],
      ['another port', HOME, 2000],
    ])('a heartbeat moves nothing: %s', async (_, ip, port) => {
      const bench = new TestBench()
      await bench.register('123456789', HOME)
      bench.nowMs += 5_000
      expect(await bench.heartbeat('123456789', ip, port)).toBe(true)
      expect(push(bench).punched).toMatchObject({ ip: HOME, port: 1000, lastSeenMs: bench.nowMs - 5_000 })
      expect(await bench.register('123456789', ip, { port, uuid: 'another' })).toBe(Result.UUID_MISMATCH)
      expect(push(bench).punched).toMatchObject({ ip: HOME, port: 1000 })
      bench.nowMs += 30_000
      expect(await bench.register('123456789', ip, { port })).toBe(Result.OK)
      expect(push(bench).punched).toMatchObject({ ip, port, online: true })
    })

    it('a device whose router draws a port for every packet stays online, without the store', async () => {
      const bench = new TestBench()
      await bench.register('123456789', HOME)
      bench.identities.failing = true
      for (let port = 2_000; port < 2_200; port += 2) {
        bench.nowMs += 15_000
        expect(await bench.heartbeat('123456789', HOME, port)).toBe(true)
        expect(bench.server.presence.isOnline('123456789' as never, bench.nowMs)).toBe(true)
        expect(await bench.register('123456789', HOME, { port: port + 1 })).toBe(Result.OK)
        expect(push(bench).punched).toMatchObject({ port: port + 1, lastSeenMs: bench.nowMs })
      }
      expect(bench.events.filter((event) => event.startsWith('ipChanged'))).toEqual([])
    })

    it('only the device itself is spared a look at the store', async () => {
      const bench = new TestBench()
      await bench.register('123456789', HOME)
      bench.identities.failing = true
      for (const other of [{ uuid: 'another' }, { key: 2 }])
        expect(await bench.register('123456789', HOME, { port: 2000, ...other })).toBe(Result.SERVER_ERROR)
      expect(await bench.register('123456789', ELSEWHERE)).toBe(Result.SERVER_ERROR)
      bench.nowMs += 30_000
      expect(await bench.register('123456789', HOME)).toBe(Result.SERVER_ERROR)
    })
  })

  it('slows down changes of a key: three in a row, the next after 7 s', async () => {
    const bench = new TestBench()
    await bench.register('123456789', HOME)
    for (const key of [2, 3, 4]) expect(await bench.register('123456789', HOME, { key })).toBe(Result.OK)
    expect(await bench.register('123456789', HOME, { key: 5 })).toBe(Result.TOO_FREQUENT)
    expect(await bench.register('123456789', HOME, { key: 4 })).toBe(Result.OK)
    bench.nowMs += 7_000
    expect(await bench.register('123456789', HOME, { key: 5 })).toBe(Result.OK)
  })

  it('takes 32 new ids from an address in a row, and the 33rd a minute later', async () => {
    const bench = new TestBench()
    for (let i = 0; i < 32; i++) expect(await bench.register(`90000${100 + i}`, HOME)).toBe(Result.OK)
    expect(await bench.register('90000999', HOME)).toBe(Result.TOO_FREQUENT)
    expect(await bench.register('90000100', HOME)).toBe(Result.OK)
    bench.nowMs += 60_001
    expect(await bench.register('90000999', HOME)).toBe(Result.OK)
  })

  it('takes 300 known devices of one address back at once', async () => {
    const bench = new TestBench()
    for (let i = 0; i < 300; i++) {
      if (i % 30 === 0) bench.nowMs += 60_001
      expect(await bench.register(`8000${1000 + i}`, HOME)).toBe(Result.OK)
    }
    for (let i = 0; i < 300; i++) bench.server.presence.remove(`8000${1000 + i}` as never)
    for (let i = 0; i < 300; i++) expect(await bench.register(`8000${1000 + i}`, HOME)).toBe(Result.OK)
  })

  it('stops looking up after 2,000 registrations of one address in a minute', async () => {
    const bench = new TestBench()
    for (let i = 0; i < 2_000; i++) {
      await bench.register('123456789', HOME)
      bench.server.presence.remove('123456789' as never)
    }
    expect(await bench.register('123456789', HOME)).toBe(Result.TOO_FREQUENT)
    expect(await bench.register('123456780', ELSEWHERE)).toBe(Result.OK)
    expect(bench.events).toContain(`limitHit lookups-per-minute ${HOME}`)
  })

  it('refuses what is out of form in the words of the protocol', async () => {
    const bench = new TestBench()
    expect(await bench.register('12345', HOME)).toBe(Result.UUID_MISMATCH)
    expect(await bench.register('x'.repeat(101), HOME)).toBe(Result.INVALID_ID_FORMAT)
    expect(await bench.register('123456789', HOME, { uuid: 'u'.repeat(257) })).toBe(Result.INVALID_ID_FORMAT)
    expect(await bench.datagram({ registerPk: { id: '123456789', uuid: new Uint8Array(3) } }, HOME)).toEqual([])
    const shortKey = { id: '123456789', uuid: new Uint8Array(3), pk: new Uint8Array(31) }
    const [answer] = await bench.datagram({ registerPk: shortKey }, HOME)
    expect(answer?.registerPkResponse?.result).toBe(Result.INVALID_ID_FORMAT)
    expect(bench.identities.rows.size).toBe(0)
  })

  it('refuses the newcomer, not a device that is there, when the table is full', async () => {
    const bench = new TestBench({ maxDevices: 1 })
    expect(await bench.register('123456789', HOME)).toBe(Result.OK)
    expect(await bench.register('123456780', ELSEWHERE)).toBe(Result.SERVER_ERROR)
    expect(await bench.heartbeat('123456789', HOME)).toBe(false)
    expect(bench.identities.rows.size).toBe(1)
  })
})

describe('leftovers over UDP', () => {
  it('gives the server list to whoever holds an older one', async () => {
    const bench = new TestBench({ serial: 5, rendezvousServers: ['203.0.113.1'] })
    const [, update] = await bench.datagram({ registerPeer: { id: '123456789', serial: 4 } }, HOME)
    expect(update?.configureUpdate).toMatchObject({ serial: 5, rendezvousServers: ['203.0.113.1'] })
    expect(await bench.datagram({ registerPeer: { id: '123456789', serial: 5 } }, HOME)).toHaveLength(1)
  })

  it('is no amplifier: larger answers go to one address only now and then', async () => {
    const bench = new TestBench({ softwareUrl: 'https://example.com/rustdesk-1.4.9.exe' })
    let answers = 0
    for (let i = 0; i < 100; i++) answers += (await bench.datagram({ softwareUpdate: { url: '1' } }, HOME)).length
    expect(answers).toBe(20)
    expect(await bench.datagram({ softwareUpdate: { url: '1.4.9' } }, ELSEWHERE)).toEqual([])
  })

  it('takes a new server list from loopback only', async () => {
    const bench = new TestBench()
    await bench.datagram({ configureUpdate: { serial: 9, rendezvousServers: ['a'] } }, HOME)
    expect(bench.server.legacy.serverList.serial).toBe(0)
    await bench.datagram({ configureUpdate: { serial: 9, rendezvousServers: ['a'] } }, '127.0.0.1')
    expect(bench.server.legacy.serverList.serial).toBe(9)
  })

  it('answers neither garbage nor what does not belong there', async () => {
    const bench = new TestBench()
    bench.server.onDatagram(Uint8Array.of(0xff, 0xff), HOME, 1, bench.datagrams)
    expect(await bench.datagram({ punchHoleRequest: { id: '123456789' } }, HOME)).toEqual([])
    expect(await bench.datagram({ onlineRequest: { peers: ['123456789'] } }, HOME)).toEqual([])
    expect(bench.server.counters.drops).toMatchObject({ malformed: 1, unexpected: 2 })
  })
})
