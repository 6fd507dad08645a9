import { beforeEach, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { PeerId } from './peer-identity.ts'
import { ONLINE_WINDOW_MS, PresenceTable } from './presence-table.ts'

const id = (text: string | number) => String(text) as PeerId
const laptop = id('123456789')
const now = 1_800_000_000_000

describe('PresenceTable', () => {
  let table: PresenceTable
  let silent: PeerId[]
  const sweepAll = (nowMs: number) => table.sweep(nowMs, Number.POSITIVE_INFINITY, (peer) => silent.push(peer))

  beforeEach(() => {
    table = new PresenceTable({ keepSilentMs: 600_000 })
    silent = []
  })

  it('does not know a device that has not registered', () => {
    expect(table.touch(laptop, '203.0.113.7', 1, now)).toBe('unknown')
    expect(table.find(laptop, now)).toBeUndefined()
    expect(table.isOnline(laptop, now)).toBe(false)
    expect(table.remove(laptop)).toBe(false)
  })

  it.each(['203.0.113.7', '2001:db8::b', '255.255.255.255'])('remembers where a device at %s registered from', (ip) => {
    expect(table.register(laptop, ip, 50_000, now)).toBe('added')
    expect(table.find(laptop, now)).toEqual({ ip, port: 50_000, lastSeenMs: now, online: true })
    expect(table.size).toBe(1)
  })

  it('stores the time of a heartbeat from where the device registered, and nothing of one from another port', () => {
    table.register(laptop, '203.0.113.7', 50_000, now)
    expect(table.touch(laptop, '203.0.113.7', 50_000, now + 15_000)).toBe('refreshed')
    expect(table.touch(laptop, '203.0.113.7', 50_001, now + 20_000)).toBe('moved')
    expect(table.find(laptop, now)).toMatchObject({ port: 50_000, lastSeenMs: now + 15_000 })
  })

  it('takes a registration from another port for no move', () => {
    table.register(laptop, '203.0.113.7', 50_000, now)
    expect(table.register(laptop, '203.0.113.7', 50_001, now + 15_000)).toBe('refreshed')
    expect(table.find(laptop, now)).toMatchObject({ port: 50_001, lastSeenMs: now + 15_000 })
  })

  it('remembers what a device proved itself by as long as it is there, at its IP', () => {
    table.register(laptop, '203.0.113.7', 50_000, now)
    expect(table.isProven(laptop, '203.0.113.7', 0, now)).toBe(true)
    table.prove(laptop, 7)
    expect(table.isProven(laptop, '203.0.113.7', 7, now)).toBe(true)
    expect(table.isProven(laptop, '203.0.113.7', 8, now)).toBe(false)
    expect(table.isProven(laptop, '203.0.113.8', 7, now)).toBe(false)
    expect(table.isProven(laptop, '203.0.113.7', 7, now + 30_000)).toBe(false)
    table.register(laptop, '203.0.113.8', 50_000, now)
    expect(table.isProven(laptop, '203.0.113.8', 7, now)).toBe(false)
    table.hold(laptop, '203.0.113.8')
    table.prove(laptop, 7)
    expect(table.isProven(laptop, '203.0.113.8', 7, now)).toBe(false)
  })

  it.each([
    ['203.0.113.7', '203.0.113.8'],
    ['203.0.113.7', '2001:db8::b'],
    ['2001:db8::b', '203.0.113.7'],
    ['2001:db8::b', '2001:db8::c'],
  ])('stores nothing of a heartbeat that comes from another IP (%s, then %s)', (before, after) => {
    table.register(laptop, before, 50_000, now)
    expect(table.touch(laptop, after, 50_001, now + 15_000)).toBe('moved')
    expect(table.find(laptop, now)).toEqual({ ip: before, port: 50_000, lastSeenMs: now, online: true })
    expect(table.register(laptop, after, 50_001, now + 16_000)).toBe('moved')
    expect(table.find(laptop, now)).toEqual({ ip: after, port: 50_001, lastSeenMs: now + 16_000, online: true })
    expect(table.size).toBe(1)
  })

  it('counts a device as online for less than 30 s', () => {
    table.register(laptop, '203.0.113.7', 1, now)
    expect(table.isOnline(laptop, now + 29_999)).toBe(true)
    expect(table.isOnline(laptop, now + 30_000)).toBe(false)
    expect(table.find(laptop, now + 30_000)?.online).toBe(false)
  })

  it('reports a device once when it falls silent, and takes it back on its heartbeat', () => {
    table.register(laptop, '203.0.113.7', 1, now)
    sweepAll(now + 29_999)
    expect(silent).toEqual([])
    sweepAll(now + 30_000)
    sweepAll(now + 60_000)
    expect(silent).toEqual([laptop])
    expect(table.silent).toBe(1)
    expect(table.touch(laptop, '203.0.113.8', 1, now + 61_000)).toBe('moved')
    expect(table.touch(laptop, '203.0.113.7', 1, now + 61_000)).toBe('returned')
    expect(table.touch(laptop, '203.0.113.7', 1, now + 62_000)).toBe('refreshed')
    expect(table.silent).toBe(0)
    sweepAll(now + 92_000)
    expect(silent).toEqual([laptop, laptop])
    expect(table.register(laptop, '203.0.113.7', 1, now + 93_000)).toBe('returned')
    expect(table.register(laptop, '203.0.113.7', 1, now + 93_000)).toBe('refreshed')
  })

  it('does not call a device returned that came back before anybody looked', () => {
    table.register(laptop, '203.0.113.7', 1, now)
    expect(table.touch(laptop, '203.0.113.7', 1, now + 40_000)).toBe('refreshed')
  })

  it('forgets a device that stays silent', () => {
    table.register(laptop, '203.0.113.7', 1, now)
    sweepAll(now + ONLINE_WINDOW_MS + 599_999)
    expect(table.size).toBe(1)
    sweepAll(now + ONLINE_WINDOW_MS + 600_000)
    expect(table.size).toBe(0)
    expect(table.silent).toBe(0)
    expect(silent).toEqual([laptop])
    expect(table.touch(laptop, '203.0.113.7', 1, now + 700_000)).toBe('unknown')
  })

  it('looks at no more rows at a time than it is told, and at all of them in turn', () => {
    for (let peer = 0; peer < 10; peer++) table.register(id(peer), '203.0.113.7', 1, now)
    for (const expected of [4, 8, 10, 10]) {
      table.sweep(now + 30_000, 4, (peer) => silent.push(peer))
      expect(new Set(silent).size).toBe(expected)
      expect(silent).toHaveLength(expected)
    }
  })

  it('lets the listener remove the device that it is told of', () => {
    table.register(laptop, '2001:db8::b', 1, now)
    table.sweep(now + 30_000, 1, (peer) => table.remove(peer))
    expect(table.size).toBe(0)
    expect(table.silent).toBe(0)
  })

  describe('named row by row', () => {
    const named = () => table.online(() => now)

    it('has the devices that are online, with where they are', () => {
      table.register(id('a'), '203.0.113.1', 1, now - 30_000)
      table.register(id('b'), '203.0.113.2', 1, now - 29_999)
      table.register(id('c'), '2001:db8::c', 1, now)
      table.register(id('d'), '203.0.113.4', 1, now)
      table.remove(id('d'))
      expect([...named()]).toEqual([
        { id: 'b', ip: '203.0.113.2' },
        { id: 'c', ip: '2001:db8::c' },
      ])
    })

    it('leaves out nobody who stays while others come and go, and while rows are moved together', () => {
      for (let peer = 0; peer < 20_000; peer++) table.register(id(peer), '203.0.113.7', 1, now)
      const seen = new Set<PeerId>()
      let step = 0
      for (const { id: peer } of named()) {
        seen.add(peer)
        if (++step !== 5_000) continue
        for (let gone = 0; gone < 20_000; gone++) if (gone % 50 !== 49) table.remove(id(gone))
        table.sweep(now, 100, () => undefined)
        for (let newcomer = 20_000; newcomer < 20_100; newcomer++) table.register(id(newcomer), '203.0.113.8', 1, now)
      }
      for (let stays = 49; stays < 20_000; stays += 50) expect(seen.has(id(stays))).toBe(true)
    })
  })

  it('refuses newcomers when it is full, and nobody else', () => {
    table = new PresenceTable({ maxPeers: 2 })
    table.register(id('a'), '203.0.113.1', 1, now)
    table.register(id('b'), '203.0.113.2', 1, now)
    expect(table.hasRoomFor(id('a'))).toBe(true)
    expect(table.hasRoomFor(id('c'))).toBe(false)
    expect(table.register(id('c'), '203.0.113.3', 1, now)).toBe('full')
    expect(table.find(id('c'), now)).toBeUndefined()
    expect(table.register(id('a'), '203.0.113.4', 1, now)).toBe('moved')
    expect(table.touch(id('b'), '203.0.113.2', 1, now)).toBe('refreshed')
    table.remove(id('b'))
    expect(table.register(id('c'), '203.0.113.3', 1, now)).toBe('added')
  })

  it('makes room at once when it is nearly full of silent devices', () => {
    table = new PresenceTable({ maxPeers: 4 })
    for (let peer = 0; peer < 4; peer++) table.register(id(peer), '203.0.113.7', 1, now)
    sweepAll(now + 30_000)
    expect(silent).toHaveLength(4)
    expect(table.size).toBe(0)
  })

  it('keeps every row apart through growth, reuse of rows and the return of memory', () => {
    const ipOf = (peer: number) =>
      peer % 3 === 0 ? `2001:db8::${peer.toString(16)}` : `10.${peer >> 16}.${(peer >> 8) & 255}.${peer & 255}`
    for (let peer = 0; peer < 20_000; peer++) expect(table.register(id(peer), ipOf(peer), peer, now)).toBe('added')
    for (let peer = 0; peer < 20_000; peer += 2) table.remove(id(peer))
    for (let peer = 20_000; peer < 25_000; peer++) table.register(id(peer), ipOf(peer), peer, now)
    for (let peer = 0; peer < 25_000; peer++) if (peer % 50 !== 1) table.remove(id(peer))
    const kept = Array.from({ length: 25_000 / 50 }, (_, index) => index * 50 + 1)
    for (const round of [0, 1]) {
      sweepAll(now)
      expect(table.size).toBe(kept.length)
      for (const peer of kept)
        expect(table.find(id(peer), now)).toEqual({
          ip: ipOf(peer),
          port: peer & 0xffff,
          lastSeenMs: now + round * 1000,
          online: true,
        })
      for (const peer of kept) expect(table.touch(id(peer), ipOf(peer), peer, now + 1000)).toBe('refreshed')
    }
    for (let peer = 100_000; peer < 110_000; peer++) table.register(id(peer), ipOf(peer), 7, now)
    expect(table.find(id(kept[3] ?? 0), now)?.ip).toBe(ipOf(kept[3] ?? 0))
    expect(table.find(id(109_999), now)?.ip).toBe(ipOf(109_999))
  })

  it('behaves like a plain map of devices, whatever happens in whatever order', () => {
    const action = fc.record({
      kind: fc.constantFrom('touch', 'register', 'remove', 'sweep', 'wait'),
      peer: fc.integer({ min: 0, max: 6 }),
      ip: fc.constantFrom('10.0.0.1', '10.0.0.2', '2001:db8::1', '2001:db8::2'),
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const small = new PresenceTable({ maxPeers: 5, keepSilentMs: 20_000 })
        const model = new Map<PeerId, { ip: string; at: number; silent: boolean }>()
        let time = now
        for (const { kind, peer, ip } of actions) {
          const known = model.get(id(peer))
          if (kind === 'wait') time += 7000 * peer
          if (kind === 'remove') expect(small.remove(id(peer))).toBe(model.delete(id(peer)))
          if (kind === 'touch' || kind === 'register') {
            const same = known?.ip === ip
            const stores = same || (kind === 'register' && (known !== undefined || model.size < 5))
            const returned = same && known.silent
            const outcome =
              kind === 'touch' ? small.touch(id(peer), ip, 1, time) : small.register(id(peer), ip, 1, time)
            const absent = kind === 'touch' ? 'unknown' : stores ? 'added' : 'full'
            expect(outcome).toBe(known === undefined ? absent : !same ? 'moved' : returned ? 'returned' : 'refreshed')
            if (stores) model.set(id(peer), { ip, at: time, silent: false })
          }
          if (kind === 'sweep') {
            const told: PeerId[] = []
            small.sweep(time, 100, (each) => told.push(each))
            const keepMs = model.size > 3.75 ? 0 : 20_000
            const expected: PeerId[] = []
            for (const [each, row] of model) {
              if (time - row.at < 30_000) continue
              if (!row.silent) expected.push(each)
              row.silent = true
              if (time - row.at >= 30_000 + keepMs) model.delete(each)
            }
            expect(told.sort()).toEqual(expected.sort())
          }
          expect(small.size).toBe(model.size)
          expect(small.silent).toBe([...model.values()].filter((row) => row.silent).length)
          for (const [each, row] of model)
            expect(small.find(each, time)).toEqual({
              ip: row.ip,
              port: 1,
              lastSeenMs: row.at,
              online: time - row.at < 30_000,
            })
        }
      }),
    )
  })
})

describe('an address', () => {
  it('has a device while one of them is online there', () => {
    const table = new PresenceTable()
    const places: [string, string][] = [
      ['first', '203.0.113.7'],
      ['second', '203.0.113.7'],
      ['third', '2001:db8::7'],
    ]
    for (const [id, ip] of places) table.register(id as PeerId, ip, 1, 0)
    for (const ip of ['203.0.113.7', '2001:db8::7']) expect(table.hasDeviceAt(ip, 29_999)).toBe(true)
    for (const ip of ['203.0.113.8', '2001:db8::8', '0.0.0.0', '']) expect(table.hasDeviceAt(ip, 0)).toBe(false)
    table.touch('second' as PeerId, '203.0.113.7', 1, 20_000)
    expect(table.hasDeviceAt('203.0.113.7', 30_000)).toBe(true)
    expect(table.hasDeviceAt('2001:db8::7', 30_000)).toBe(false)
    table.remove('second' as PeerId)
    expect(table.hasDeviceAt('203.0.113.7', 30_000)).toBe(false)
  })
})

describe('a network', () => {
  const ips = ['203.0.113.7', '203.0.113.8', '198.51.100.1', '2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'] as const
  const step = fc.oneof(
    fc.record({ kind: fc.constant('register' as const), peer: fc.nat(40), ip: fc.constantFrom(...ips) }),
    fc.record({ kind: fc.constant('hold' as const), peer: fc.nat(40), ip: fc.constantFrom(...ips) }),
    fc.record({ kind: fc.constant('remove' as const), peer: fc.nat(40) }),
    fc.record({ kind: fc.constant('sweep' as const), afterMs: fc.nat(400_000) }),
    fc.record({ kind: fc.constant('flood' as const) }),
  )

  it('has a device while one is online at its address, for IPv6 in its /64, whatever happens in whatever order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const indexed = new PresenceTable({ sources: 'indexed' })
        let nowMs = now
        for (const action of steps) {
          if (action.kind === 'register') indexed.register(id(action.peer), action.ip, 1, nowMs)
          else if (action.kind === 'hold') indexed.hold(id(action.peer), action.ip)
          else if (action.kind === 'remove') indexed.remove(id(action.peer))
          else if (action.kind === 'sweep') {
            nowMs += action.afterMs
            indexed.sweep(nowMs, Number.POSITIVE_INFINITY, () => {})
          } else {
            // The table grows, and is moved together again.
            for (let peer = 0; peer < 3_000; peer++) indexed.register(id(`flood-${peer}`), '192.0.2.1', 1, nowMs)
            for (let peer = 0; peer < 3_000; peer++) indexed.remove(id(`flood-${peer}`))
            indexed.sweep(nowMs, Number.POSITIVE_INFINITY, () => {})
          }
          const online = [...indexed.online(() => nowMs)].map(({ ip }) => ip)
          for (const ip of ['192.0.2.1', ...ips]) {
            const isNear = (other: string) =>
              ip.startsWith('2001:db8::') ? other.startsWith('2001:db8::') : other === ip
            expect(indexed.hasDeviceInNetwork(ip, nowMs)).toBe(online.some(isNear))
          }
        }
      }),
      { numRuns: 30 },
    )
  })
})
