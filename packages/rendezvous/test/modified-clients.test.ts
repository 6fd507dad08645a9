import { describe, expect, it } from '@jest/globals'
import { mangleAddress, type OutgoingRendezvousMessage, type RendezvousMessage, rendezvous } from '@tryst/protocol'
import type { AccessMode } from '../src/device-access.ts'
import { StoreUnavailableError } from '../src/identity-store.ts'
import type { PeerId } from '../src/peer-identity.ts'
import {
  ATTACKER,
  answerMessage,
  CARRIERS,
  type Carrier,
  FAMILIES,
  type Family,
  HOME,
  TARGET,
  World,
} from './attack-world.ts'
import { TestConnection } from './test-bench.ts'

const { Result } = rendezvous.RegisterPkResponse
const encode = (text: string) => new TextEncoder().encode(text)
const filled = (length: number, value: number) => new Uint8Array(length).fill(value)

const STRANGER = '777777777' as PeerId
/** As the target registered. */
const TARGET_UUID = encode(`uuid-${TARGET}`)
const TARGET_KEY = filled(32, 1)

interface Sent {
  readonly world: World
  readonly carrier: Carrier
  readonly family: Family
}

/** Sends something as the attacker and gives what the attacker is told. */
async function send(
  { world, carrier, family }: Sent,
  message: OutgoingRendezvousMessage,
  ip = ATTACKER[family],
): Promise<RendezvousMessage[]> {
  const bench = world.last
  const before = bench.sent.length
  const connection = await world.answer(bench, carrier, message, { ip, port: 7_777 })
  return carrier === 'udp' ? bench.sent.slice(before).map(({ message: answer }) => answer) : connection.received
}

const resultOf = (answers: readonly RendezvousMessage[]) => answers[0]?.registerPkResponse?.result

/** Runs an attack and sees that nobody else was told anything and nothing has changed. */
async function harmless(sent: Sent, attack: () => Promise<void>): Promise<void> {
  const { world } = sent
  const before = world.snapshot()
  await attack()
  await world.settled()
  expect(world.sentToOthers()).toEqual([])
  expect(world.snapshot()).toEqual(before)
}

/** Each over each transport, with one node and with two. */
function overEach(
  name: string,
  attack: (sent: Sent) => Promise<void>,
  options: Omit<NonNullable<Parameters<typeof World.open>[0]>, 'nodes'> & { carriers?: readonly Carrier[] } = {},
): void {
  const { carriers = CARRIERS, ...world } = options
  for (const nodes of [1, 2] as const)
    for (const carrier of carriers)
      for (const family of FAMILIES)
        it(`${name}: over ${carrier}, ${family}, ${nodes === 1 ? 'one node' : 'another node'}`, async () => {
          const sent = { world: await World.open({ ...world, nodes, family }), carrier, family }
          await harmless(sent, () => attack(sent))
        })
}

describe('who registers what is somebody else’s changes nothing', () => {
  const CLAIMS: readonly [string, Partial<rendezvous.RegisterPk.$Properties>, readonly (number | undefined)[]][] = [
    ['the id with another uuid', { uuid: encode('another'), pk: filled(32, 9) }, [Result.UUID_MISMATCH]],
    ['the id with the key but another uuid', { uuid: encode('another'), pk: TARGET_KEY }, [Result.UUID_MISMATCH]],
    ['the id with an empty uuid', { uuid: new Uint8Array(0), pk: TARGET_KEY }, [undefined]],
    ['the id with an empty key', { uuid: TARGET_UUID, pk: new Uint8Array(0) }, [undefined]],
    ['the id with a key of 31 bytes', { uuid: TARGET_UUID, pk: filled(31, 1) }, [Result.INVALID_ID_FORMAT]],
    ['an id of 101 bytes', { id: 'x'.repeat(101), uuid: encode('u'), pk: filled(32, 9) }, [Result.INVALID_ID_FORMAT]],
    [
      'an id of 60,000 bytes',
      { id: 'x'.repeat(60_000), uuid: encode('u'), pk: filled(32, 9) },
      [Result.INVALID_ID_FORMAT],
    ],
    ['an id of 5 bytes', { id: 'abcde', uuid: encode('u'), pk: filled(32, 9) }, [Result.UUID_MISMATCH]],
    ['a uuid of 257 bytes', { id: STRANGER, uuid: filled(257, 1), pk: filled(32, 9) }, [Result.INVALID_ID_FORMAT]],
  ]
  for (const [name, claim, expected] of CLAIMS)
    overEach(name, async (sent) => {
      const answers = await send(sent, { registerPk: { id: TARGET, ...claim } })
      expect(expected).toContain(resultOf(answers))
    })

  overEach('heartbeats of the device from elsewhere', async (sent) => {
    const answers = await send(sent, { registerPeer: { id: TARGET, serial: 3 } })
    expect(answers.map((answer) => answer.registerPeerResponse?.requestPk)).toEqual(
      sent.carrier === 'udp' ? [true] : [],
    )
  })

  overEach('a heartbeat from another port of the device’s own address', async (sent) => {
    const { world, family } = sent
    if (sent.carrier === 'udp')
      await world.first.datagram({ registerPeer: { id: TARGET, serial: 3 } }, HOME[family], 7_777)
    world.first.sent.length = 0
  })
})

describe('a new key with the uuid of a device, from elsewhere', () => {
  for (const nodes of [1, 2] as const)
    for (const carrier of CARRIERS)
      for (const family of FAMILIES)
        it(`waits for the operator: over ${carrier}, ${family}, ${nodes} nodes`, async () => {
          const world = await World.open({ nodes, family })
          const before = world.snapshot()
          const answers = await send(
            { world, carrier, family },
            { registerPk: { id: TARGET, uuid: TARGET_UUID, pk: filled(32, 9) } },
          )
          expect(resultOf(answers)).toBe(Result.NOT_DEPLOYED)
          const { listed, ...rest } = world.snapshot()
          expect(listed).toMatchObject([{ id: TARGET, why: 'key-changed', state: 'pending' }])
          expect({ ...rest, listed: [] }).toEqual(before)
          expect(world.sentToOthers()).toEqual([])
        })
})

describe('changes of id', () => {
  const CHANGES: readonly [string, Partial<rendezvous.RegisterPk.$Properties>][] = [
    ['with a wrong uuid', { oldId: TARGET, id: 'stolen-id', uuid: encode('another') }],
    ['with an empty uuid', { oldId: TARGET, id: 'stolen-id', uuid: new Uint8Array(0) }],
    ['of an id that nobody has', { oldId: STRANGER, id: 'stolen-id', uuid: encode('another') }],
    ['of one’s own device to an id that is taken', { oldId: '666666666', id: TARGET, uuid: encode('uuid-666666666') }],
    ['to what can be no id', { oldId: TARGET, id: 'x y', uuid: TARGET_UUID }],
    ['to an id of 5,000 characters', { oldId: TARGET, id: `a${'x'.repeat(5_000)}`, uuid: TARGET_UUID }],
  ]
  for (const [name, change] of CHANGES)
    overEach(name, async (sent) => {
      const result = resultOf(await send(sent, { registerPk: { ...change } }))
      expect(result).not.toBe(Result.OK)
    })
})

describe('a closed server', () => {
  const closed: readonly AccessMode[] = ['approve', 'invite']
  for (const accessMode of closed) {
    const settings = { accessMode }
    const listedOnly = accessMode === 'approve'
    for (const nodes of [1, 2] as const)
      for (const carrier of CARRIERS)
        it(`registers no stranger: ${accessMode}, over ${carrier}, ${nodes} nodes`, async () => {
          const world = await World.open({ nodes })
          const shut = await World.open({ nodes, settings })
          // Its own devices have registered before it was closed.
          for (const [id, row] of world.first.identities.rows) shut.first.identities.rows.set(id, row)
          const sent = { world: shut, carrier, family: 'IPv4' as const }
          const before = shut.snapshot()
          const claim = { id: STRANGER, uuid: encode('stranger'), pk: filled(32, 9) }
          expect(resultOf(await send(sent, { registerPk: claim }))).toBe(Result.NOT_DEPLOYED)
          const { listed, ...rest } = shut.snapshot()
          expect(listed).toHaveLength(shut.first.access.devices.size)
          expect(listed.some(({ id }) => id === STRANGER)).toBe(listedOnly)
          expect({ ...rest, listed: [] }).toEqual({ ...before, listed: [] })
        })

    const roundabout: readonly [string, OutgoingRendezvousMessage][] = [
      ['a PunchHoleSent', answerMessage('punchHoleSent', filled(10, 1), STRANGER)],
      ['a LocalAddr', answerMessage('localAddr', mangleAddress({ ip: '10.0.0.1', port: 1 }, 1), STRANGER)],
      ['a RelayResponse', answerMessage('relayResponse', filled(10, 1), STRANGER)],
      ['a PunchHoleRequest', { punchHoleRequest: { id: STRANGER, licenceKey: 'KEY' } }],
      ['a RequestRelay', { requestRelay: { id: STRANGER, uuid: 'u', relayServer: 'r' } }],
      ['an online query', { onlineRequest: { id: STRANGER, peers: [STRANGER] } }],
      ['a heartbeat', { registerPeer: { id: STRANGER, serial: 3 } }],
      ['a change of id', { registerPk: { oldId: STRANGER, id: 'another-id', uuid: encode('stranger') } }],
    ]
    for (const [name, message] of roundabout)
      overEach(
        `cannot be entered by ${name}, ${accessMode}`,
        async (sent) => {
          await send(sent, message)
          expect(sent.world.first.identities.rows.has(STRANGER)).toBe(false)
          expect(sent.world.first.server.presence.find(STRANGER, sent.world.first.nowMs)).toBeUndefined()
        },
        { settings },
      )

    overEach(
      `is closed while nobody can say what the operator has said, ${accessMode}`,
      async (sent) => {
        const { access } = sent.world.first
        access.failing = true
        const answers = await send(sent, { registerPk: { id: STRANGER, uuid: encode('stranger'), pk: filled(32, 9) } })
        access.failing = false
        expect(resultOf(answers)).toBe(Result.SERVER_ERROR)
      },
      { settings },
    )
  }
})

describe('who asks for devices without the right to', () => {
  const without: readonly [string, OutgoingRendezvousMessage][] = [
    ['a punch with a wrong key', { punchHoleRequest: { id: TARGET, licenceKey: 'WRONG' } }],
    ['a punch without a key', { punchHoleRequest: { id: TARGET } }],
    ['a punch with an id of 60,000 characters', { punchHoleRequest: { id: '1'.repeat(60_000), licenceKey: 'KEY' } }],
    ['a punch without an id', { punchHoleRequest: { licenceKey: 'KEY' } }],
    ['a relay with a wrong key', { requestRelay: { id: TARGET, uuid: 'u', licenceKey: 'WRONG' } }],
    ['a relay with an id of 60,000 characters', { requestRelay: { id: '1'.repeat(60_000), uuid: 'u' } }],
    ['a relay for nobody', { requestRelay: { id: STRANGER, uuid: 'forged-uuid' } }],
  ]
  for (const [name, message] of without)
    overEach(`reaches no device, and gets no ticket: ${name}`, async (sent) => {
      const answers = await send(sent, message)
      for (const answer of answers) {
        expect(answer.punchHoleResponse?.socketAddr ?? new Uint8Array(0)).toHaveLength(0)
        expect(answer.relayResponse?.uuid ?? '').toBe('')
      }
    })

  const asking: readonly [string, OutgoingRendezvousMessage][] = [
    ['a punch', { punchHoleRequest: { id: TARGET, licenceKey: 'KEY', token: 'forged' } }],
    ['a punch by UDP', { punchHoleRequest: { id: TARGET, licenceKey: 'KEY', udpPort: 9 } }],
    ['a forced relay', { punchHoleRequest: { id: TARGET, licenceKey: 'KEY', forceRelay: true } }],
    ['a relay', { requestRelay: { id: TARGET, uuid: 'forged-uuid', token: 'forged' } }],
    ['a relay with the key', { requestRelay: { id: TARGET, uuid: 'forged-uuid', licenceKey: 'KEY' } }],
    ['an online query', { onlineRequest: { id: TARGET, peers: [TARGET] } }],
    ['an online query in the name of a device', { onlineRequest: { id: '666666666', peers: [TARGET, TARGET] } }],
  ]
  for (const allowControl of ['registered', 'signed-in'] as const)
    for (const [name, message] of asking)
      overEach(
        `is told nothing where only the ${allowControl} may: ${name}`,
        async (sent) => {
          const answers = await send(sent, message, sent.family === 'IPv4' ? '198.51.100.99' : '2001:db8:99::9')
          // The answers of datagrams to a stranger would be found among what was sent to others.
          for (const answer of answers) {
            if (answer.onlineResponse) expect([...answer.onlineResponse.states]).toEqual([0])
            else
              expect(answer.punchHoleResponse?.otherFailure || answer.relayResponse?.refuseReason).toContain(
                'not allowed',
              )
          }
          expect(answers).toHaveLength(sent.carrier === 'udp' ? 0 : 1)
        },
        { settings: { allowControl } },
      )

  overEach(
    'is told nothing while nobody can say who has signed in',
    async (sent) => {
      const answers = await send(sent, { punchHoleRequest: { id: TARGET, licenceKey: 'KEY', token: 'real' } })
      expect(answers).toEqual([])
    },
    {
      settings: { allowControl: 'signed-in' },
      ports: { accounts: { find: () => Promise.reject(new StoreUnavailableError('away')) } },
    },
  )
})

describe('tickets of relayed sessions', () => {
  overEach('are not made by an answer that nobody waits for', async (sent) => {
    await send(sent, answerMessage('relayResponse', filled(11, 3), TARGET))
    expect(sent.world.tickets.issued).toEqual([])
  })

  it('name the device that was asked, whatever its answer names', async () => {
    const world = await World.open()
    const waiting = await world.wait('punch towards a relay', 'IPv4')
    const own = await world.wait('punch towards a relay', 'IPv4', {
      id: '666666666' as PeerId,
      port: 4_066,
      ip: ATTACKER.IPv4,
    })
    const from = { ip: ATTACKER.IPv4, port: 9 }
    await world.answer(world.first, 'tcp', answerMessage('relayResponse', own.handle, ''), from)
    expect(world.tickets.issued).toEqual(['forged-uuid for 666666666'])
    expect(waiting.connection.received).toEqual([])
  })

  it('are forgotten after a minute, and then told to no relay', async () => {
    const world = await World.open({ nodes: 2 })
    world.tickets.writing = Promise.resolve()
    await world.wait('relay', 'IPv4')
    const uuid = `uuid-of-${TARGET}-4000`
    const [node] = world.known.values()
    const ticketFor = () => node?.ticketFor(uuid)
    expect(ticketFor()).toBe(TARGET)
    expect(node?.ticketFor('guessed')).toBeUndefined()
    world.passTime(60_000)
    expect(ticketFor()).toBeUndefined()
  })
})

describe('what is sent over the second port', () => {
  const messages: readonly [string, OutgoingRendezvousMessage][] = [
    ['a punch', { punchHoleRequest: { id: TARGET, licenceKey: 'KEY' } }],
    ['a relay', { requestRelay: { id: TARGET, uuid: 'u' } }],
    ['a registration', { registerPk: { id: STRANGER, uuid: encode('u'), pk: filled(32, 9) } }],
    ['an answer', answerMessage('relayResponse', filled(11, 3), TARGET)],
    ['a heartbeat', { registerPeer: { id: TARGET, serial: 3 } }],
  ]
  for (const [name, message] of messages)
    it(`is not served: ${name}`, async () => {
      const world = await World.open()
      await harmless({ world, carrier: 'tcp', family: 'IPv4' }, async () => {
        const connection = new TestConnection({ ip: ATTACKER.IPv4, port: 7 })
        await world.first.secondPortMessage(connection, message)
        expect(connection.received).toEqual([])
        expect(connection.isClosed).toBe(true)
      })
    })
})
