import { describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import type { AccessMode } from '../src/device-access.ts'
import type { PeerId } from '../src/peer-identity.ts'
import { TestBench, TestConnection } from './test-bench.ts'

const { OK, NOT_DEPLOYED, UUID_MISMATCH, SERVER_ERROR, TOO_FREQUENT } = rendezvous.RegisterPkResponse.Result

const laptop = '123456789' as PeerId
const home = '203.0.113.7'
const bench = (accessMode: AccessMode) => new TestBench({ accessMode })

/** Approves or refuses whoever waits. */
async function decideAll({ access }: TestBench, verdict: 'approved' | 'refused') {
  for (const device of await access.listed()) await access.decide(device, verdict)
}

describe('where devices wait for the operator', () => {
  it('tells an unknown device NOT_DEPLOYED, stores nothing, and lists it', async () => {
    const { identities, access, events, ...it } = await registered('approve')
    expect(it.answer).toBe(NOT_DEPLOYED)
    expect(identities.rows.size).toBe(0)
    expect(await access.listed()).toMatchObject([{ id: laptop, ip: home, why: 'new-device', state: 'pending' }])
    expect(events).toEqual([`notAdmitted ${laptop}`])
    expect(it.bench.server.presence.size).toBe(0)
  })

  it('registers it at its next try once it is approved, and then has forgotten that it waited', async () => {
    const { bench } = await registered('approve')
    await decideAll(bench, 'approved')
    expect(await bench.register(laptop, home)).toBe(OK)
    expect(await bench.access.listed()).toEqual([])
    expect(await bench.heartbeat(laptop, home)).toBe(false)
  })

  it('does not register another device under the approved id', async () => {
    const { bench } = await registered('approve')
    await decideAll(bench, 'approved')
    expect(await bench.register(laptop, home, { uuid: 'another' })).toBe(NOT_DEPLOYED)
    expect(await bench.register(laptop, home, { key: 2 })).toBe(NOT_DEPLOYED)
    expect(bench.identities.rows.size).toBe(0)
  })

  it('does not list a refused device again', async () => {
    const { bench } = await registered('approve')
    await decideAll(bench, 'refused')
    expect(await bench.register(laptop, home)).toBe(NOT_DEPLOYED)
    expect(await bench.access.listed()).toMatchObject([{ state: 'refused' }])
    expect(bench.server.counters.registrations.not_admitted).toBe(1)
  })

  it('lets known devices register as ever, move and change their key at their address', async () => {
    const { bench } = await registered('approve')
    await decideAll(bench, 'approved')
    await bench.register(laptop, home)
    expect(await bench.register(laptop, '198.51.100.1')).toBe(OK)
    expect(await bench.register(laptop, '198.51.100.1', { key: 2 })).toBe(OK)
    expect(await bench.register(laptop, '198.51.100.1', { uuid: 'another', key: 3 })).toBe(UUID_MISMATCH)
    expect(await bench.access.listed()).toEqual([])
  })

  it('counts only devices that are not listed yet against the limit on new ids', async () => {
    const it = bench('approve')
    for (let i = 0; i < 32; i++) {
      expect(await it.register(`device${i}`, home)).toBe(NOT_DEPLOYED)
      it.passTime(100)
    }
    expect(await it.register('onemore', home)).toBe(TOO_FREQUENT)
    for (let i = 0; i < 32; i++) expect(await it.register(`device${i}`, home)).toBe(NOT_DEPLOYED)
  })

  it('lists no more than 20 new devices in a second, wherever they come from, and the others a little later', async () => {
    const it = bench('approve')
    const ask = (n: number) => it.register(`device${n}`, `198.51.${n >> 8}.${n & 255}`)
    const answers = new Map<unknown, number>()
    for (let n = 0; n < 500; n++) {
      const answer = await ask(n)
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
    }
    expect(answers).toEqual(
      new Map([
        [NOT_DEPLOYED, 20],
        [TOO_FREQUENT, 480],
      ]),
    )
    // Those that wait already are told so all the same.
    expect(await ask(7)).toBe(NOT_DEPLOYED)
    it.passTime(1_000)
    expect(await ask(400)).toBe(NOT_DEPLOYED)
    expect(await it.access.listed()).toHaveLength(21)
  })

  it('answers SERVER_ERROR while nobody can say what the operator has said', async () => {
    const it = bench('approve')
    it.access.failing = true
    expect(await it.register(laptop, home)).toBe(SERVER_ERROR)
    expect(it.identities.rows.size).toBe(0)
  })
})

describe('a device that has taken another id where the server is closed', () => {
  it('does not get the old one besides', async () => {
    const { bench } = await registered('approve')
    await decideAll(bench, 'approved')
    await bench.register(laptop, home)
    const uuid = new TextEncoder().encode(`uuid-${laptop}`)
    const [changed] = await bench.message(new TestConnection({ ip: home, port: 9 }), {
      registerPk: { oldId: laptop, id: 'reception', uuid },
    })
    expect(changed?.registerPkResponse?.result).toBe(OK)
    expect(await bench.register('reception', home, { uuid: `uuid-${laptop}` })).toBe(OK)
    expect(await bench.register(laptop, home)).toBe(NOT_DEPLOYED)
    expect(await bench.access.listed()).toMatchObject([{ id: laptop, state: 'pending' }])
    expect(bench.server.presence.find(laptop, bench.nowMs)).toBeUndefined()
  })

  it('may have it back instead', async () => {
    const { bench } = await registered('approve')
    await decideAll(bench, 'approved')
    await bench.register(laptop, home)
    const uuid = new TextEncoder().encode(`uuid-${laptop}`)
    await bench.message(new TestConnection({ ip: home, port: 9 }), {
      registerPk: { oldId: laptop, id: 'reception', uuid },
    })
    expect(await bench.register(laptop, home)).toBe(OK)
    expect(await bench.register('reception', home, { uuid: `uuid-${laptop}` })).not.toBe(OK)
  })
})

describe('where only invited devices register', () => {
  it('tells an unknown device NOT_DEPLOYED and lists nothing', async () => {
    const { bench, answer } = await registered('invite')
    expect(answer).toBe(NOT_DEPLOYED)
    expect(await bench.access.listed()).toEqual([])
    expect(bench.identities.rows.size).toBe(0)
  })

  it('registers the first device that asks for an invited id, and then no other', async () => {
    const it = bench('invite')
    await it.access.invite(laptop, it.nowMs)
    expect(await it.register(laptop, home)).toBe(OK)
    expect(await it.access.invites()).toEqual([])
    expect(await it.register(laptop, '192.0.2.9', { uuid: 'another', key: 2 })).toBe(UUID_MISMATCH)
    expect(await it.register('987654321', home)).toBe(NOT_DEPLOYED)
  })

  it('registers a device that was deployed before, from wherever it comes', async () => {
    const it = bench('invite')
    const uuid = new TextEncoder().encode(`uuid-${laptop}`)
    await it.identities.create({ id: laptop, uuid, publicKey: new Uint8Array(32).fill(1), ip: '' })
    expect(await it.register(laptop, home)).toBe(OK)
    expect(it.identities.rows.get(laptop)?.ip).toBe(home)
  })
})

describe('where everybody may register', () => {
  it('asks nobody', async () => {
    const it = bench('open')
    it.access.failing = true
    expect(await it.register(laptop, home)).toBe(OK)
  })
})

async function registered(mode: AccessMode) {
  const it = bench(mode)
  const answer = await it.register(laptop, home)
  return { bench: it, answer, identities: it.identities, access: it.access, events: it.events }
}
