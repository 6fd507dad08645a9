import { describe, expect, it } from '@jest/globals'
import { encodeRendezvous, mangleAddress, unmangleAddress } from '@tryst/protocol'
import {
  type AnswerKind,
  ASKS,
  type AskName,
  ATTACKER,
  answerMessage,
  CARRIERS,
  type Carrier,
  FAMILIES,
  HOME,
  OWN_DEVICE,
  TARGET,
  TRUE_ANSWER,
  type Waiting,
  World,
} from './attack-world.ts'
import { TestConnection } from './test-bench.ts'

/** What an answer says, and where it comes from. */
interface Forged {
  readonly handle: Uint8Array
  readonly id: string
  readonly kind: AnswerKind
  readonly ip: string
}

/** How somebody makes an answer that is not the device's own, or comes when nobody waits any more. */
interface Forgery {
  readonly name: string
  /** Undefined: it makes no sense for what this controller waits for. */
  forge(world: World, waiting: Waiting): Promise<Forged | undefined> | Forged | undefined
  /** Nobody waits afterwards, so that the true answer does not come through either. */
  readonly isTooLate?: true
}

/** A kind that nobody answers to such an ask with. */
const WRONG_KIND: Readonly<Record<AskName, AnswerKind>> = {
  punch: 'localAddr',
  'punch by UDP': 'localAddr',
  'punch towards a relay': 'localAddr',
  'local address': 'punchHoleSent',
  relay: 'punchHoleSent',
}

const forged = ({ ask, family, handle }: Waiting, changes: Partial<Forged> = {}): Forged => ({
  ...{ handle, id: TARGET, kind: TRUE_ANSWER[ask], ip: ATTACKER[family] },
  ...changes,
})

/** The handle holds nothing but the controller's address: only the device's IP proves anything. */
const isGuessable = ({ ask, family }: Waiting) => family === 'IPv6' && (ask === 'punch' || ask === 'punch by UDP')

const ONLY_GUESSABLE = 'everything right but the address that it comes from'

const FORGERIES: readonly Forgery[] = [
  {
    name: 'a handle with the true address and a guessed secret',
    forge: (_, waiting) => forged(waiting, { handle: mangleAddress(waiting.connection.remote, 0x1234_5678) }),
  },
  {
    name: 'a handle with a guessed port',
    forge: (_, waiting) => {
      const { ip, port } = unmangleAddress(waiting.handle)
      return forged(waiting, { handle: mangleAddress({ ip, port: port ^ 1 }, 0x1234_5678) })
    },
  },
  { name: 'an empty handle', forge: (_, waiting) => forged(waiting, { handle: new Uint8Array(0) }) },
  {
    name: 'a handle of 3,000 bytes',
    forge: (_, waiting) => forged(waiting, { handle: new Uint8Array(3_000).fill(7) }),
  },
  {
    name: 'the right handle with something behind it',
    forge: (_, waiting) => forged(waiting, { handle: Uint8Array.of(...waiting.handle, ...new Uint8Array(10).fill(1)) }),
  },
  {
    name: 'the right handle cut short',
    forge: (_, waiting) => forged(waiting, { handle: waiting.handle.subarray(0, waiting.handle.length - 2) }),
  },
  { name: 'the right handle and another id', forge: (_, waiting) => forged(waiting, { id: OWN_DEVICE }) },
  {
    name: 'the right handle and an id that nobody has',
    forge: (_, waiting) => forged(waiting, { id: '999999999', ip: HOME[waiting.family] }),
  },
  {
    name: 'the right handle and an id of 2,000 characters',
    forge: (_, waiting) => forged(waiting, { id: '1'.repeat(2_000) }),
  },
  {
    name: 'the right handle in an answer of another kind',
    forge: (_, waiting) => forged(waiting, { kind: WRONG_KIND[waiting.ask] }),
  },
  {
    name: "the handle of the attacker's own request and the target's id",
    forge: async (world, waiting) => {
      const own = await world.wait(
        waiting.ask === 'local address' ? 'punch towards a relay' : waiting.ask,
        waiting.family,
        {
          ...{ id: OWN_DEVICE, port: 4_066, ip: ATTACKER[waiting.family] },
        },
      )
      return forged(waiting, { handle: own.handle })
    },
  },
  {
    name: 'the handle that another controller of the same address was given for another device',
    forge: async (world, waiting) => {
      const { ip } = waiting.connection.remote
      const beside = await world.wait('punch towards a relay', waiting.family, { id: OWN_DEVICE, port: 4_067, ip })
      return forged(waiting, { handle: beside.handle, kind: 'relayResponse' })
    },
  },
  {
    name: ONLY_GUESSABLE,
    forge: (_, waiting) => (isGuessable(waiting) ? forged(waiting) : undefined),
  },
  {
    name: 'the true answer after the controller has left',
    isTooLate: true,
    forge: (world, waiting) => {
      world.first.server.onClose(waiting.connection)
      return forged(waiting, { ip: HOME[waiting.family] })
    },
  },
  {
    name: 'the true answer 40 s after the last request',
    isTooLate: true,
    forge: (world, waiting) => {
      world.passTime(40_000)
      return forged(waiting, { ip: HOME[waiting.family] })
    },
  },
]

async function attack(world: World, waiting: Waiting, forgery: Forgery, carrier: Carrier): Promise<boolean> {
  const made = await forgery.forge(world, waiting)
  if (!made) return false
  for (const bench of world.benches) bench.sent.length = 0
  const before = world.snapshot()
  const message = answerMessage(made.kind, made.handle, made.id)
  const attacker = await world.answer(world.last, carrier, message, { ip: made.ip, port: 7_777 })
  expect(waiting.connection.received).toEqual([])
  expect(attacker.received).toEqual([])
  expect(world.benches.flatMap(({ sent }) => sent)).toEqual([])
  expect(world.snapshot()).toEqual(before)
  return true
}

describe('an answer that is not from the device that was asked reaches nobody', () => {
  for (const nodes of [1, 2] as const)
    for (const family of FAMILIES)
      for (const ask of ASKS)
        for (const forgery of FORGERIES) {
          if (forgery.name === ONLY_GUESSABLE && !isGuessable({ ask, family } as Waiting)) continue
          const where = nodes === 1 ? 'at the node' : 'at another node'
          it(`${forgery.name}: ${ask}, ${family} controller, ${where}, over each transport`, async () => {
            const world = await World.open({ nodes, family })
            const waiting = await world.wait(ask, family)
            for (const carrier of CARRIERS) expect(await attack(world, waiting, forgery, carrier)).toBe(true)
            // It did not use anything up either.
            await world.answerTruly(waiting)
            expect(waiting.connection.received).toHaveLength(forgery.isTooLate ? 0 : 1)
          })
        }
})

describe('a secret of 16 bits', () => {
  const guesses: readonly [AskName, (typeof FAMILIES)[number]][] = [
    ['local address', 'IPv4'],
    ['local address', 'IPv6'],
    ['punch towards a relay', 'IPv6'],
    ['relay', 'IPv6'],
  ]
  for (const nodes of [1, 2] as const)
    for (const [ask, family] of guesses)
      it(`is not found by trying: ${ask}, ${family} controller, at ${nodes === 1 ? 'the' : 'another'} node`, async () => {
        const world = await World.open({ nodes, family })
        const waiting = await world.wait(ask, family)
        const { ip, port } = unmangleAddress(waiting.handle)
        const from = { ip: ATTACKER[family], port: 7_777 }
        const tryPort = (guess: number) =>
          world.answer(
            world.last,
            'tcp',
            answerMessage(TRUE_ANSWER[ask], mangleAddress({ ip, port: guess }, 5), TARGET),
            from,
          )
        for (let guess = 1; guess <= 200; guess++) await tryPort((port + guess) & 0xffff)
        // Whoever has tried so often is not listened to even when it is right.
        await tryPort(port)
        expect(waiting.connection.received).toEqual([])
        expect(world.last.server.counters.answers.too_many).toBe(1)
        await world.answerTruly(waiting)
        expect(waiting.connection.received).toHaveLength(1)
      })
})

describe('a secret of 16 bits that is tried from many networks', () => {
  for (const nodes of [1, 2] as const)
    it(`is taken from the device's own address only, at ${nodes === 1 ? 'the' : 'another'} node`, async () => {
      const world = await World.open({ nodes, family: 'IPv6' })
      const waiting = await world.wait('relay', 'IPv6')
      const { ip, port } = unmangleAddress(waiting.handle)
      const tryPort = (guess: number, from: string) =>
        world.answer(world.last, 'tcp', answerMessage('relayResponse', mangleAddress({ ip, port: guess }, 5), TARGET), {
          ...{ ip: from, port: 7_777 },
        })
      for (let n = 1; n <= 1_000; n++) await tryPort((port + n) & 0xffff, `2001:db8:66:${n.toString(16)}::1`)
      await tryPort(port, '2001:db8:66:ffff::1')
      expect(waiting.connection.received).toEqual([])
      await tryPort(port, HOME.IPv6)
      expect(waiting.connection.received).toHaveLength(1)
    })
})

describe('answers that somebody sends all at once, so that none is known to be wrong before the last is here', () => {
  const burst = (world: World, count: number, message: (n: number) => ReturnType<typeof answerMessage>, ip: string) => {
    const connection = new TestConnection({ ip, port: 7_777 })
    world.last.server.onMessage(connection, encodeRendezvous({ hc: { token: 'any' } }))
    for (let n = 0; n < count; n++) world.last.server.onMessage(connection, encodeRendezvous(message(n)))
  }

  it('try no more ports of a handle than those that come one after the other', async () => {
    const world = await World.open({ nodes: 2 })
    const waiting = await world.wait('local address', 'IPv4')
    const { ip, port } = unmangleAddress(waiting.handle)
    const guess = (n: number) => answerMessage('localAddr', mangleAddress({ ip, port: (port + n) & 0xffff }, 5), TARGET)
    burst(world, 300, (n) => guess(n + 1 - 300), ATTACKER.IPv4)
    await world.settled()
    expect(waiting.connection.received).toEqual([])
    expect(world.last.server.counters.answers.too_many).toBe(100)
  })

  it('are not questions to other nodes without end, whatever their handles are', async () => {
    const world = await World.open({ nodes: 2 })
    const handle = mangleAddress({ ip: '192.0.2.10', port: 4_000 }, 7)
    burst(world, 3_000, () => answerMessage('punchHoleSent', handle, TARGET), ATTACKER.IPv4)
    await world.settled()
    expect(world.last.server.counters.answers.too_many).toBe(1_000)
  })

  it('are heard all where controllers on the other node wait for them', async () => {
    const world = await World.open({ nodes: 2, family: 'IPv6' })
    const handles: Uint8Array[] = []
    const waiting: Waiting[] = []
    for (let n = 0; n < 250; n++) waiting.push(await world.wait('relay', 'IPv6', { port: 10_000 + n }))
    for (const { handle } of waiting) handles.push(handle)
    for (let at = 0; at < handles.length; at += 125) {
      const some = handles.slice(at, at + 125)
      const answer = (n: number) => answerMessage('relayResponse', some[n] as Uint8Array, TARGET)
      burst(world, some.length, answer, HOME.IPv6)
      await world.settled()
    }
    expect(waiting.filter(({ connection }) => connection.received.length === 0)).toEqual([])
  })
})

it('datagrams in the name of a device do not keep its answers from being heard', async () => {
  const world = await World.open({ family: 'IPv6' })
  const waiting = await world.wait('punch towards a relay', 'IPv6')
  const { ip, port } = unmangleAddress(waiting.handle)
  for (let n = 1; n <= 300; n++) {
    const message = answerMessage('punchHoleSent', mangleAddress({ ip, port: (port + n) & 0xffff }, 5), TARGET)
    await world.answer(world.last, 'udp', message, { ip: HOME.IPv6, port: 5_555 })
  }
  await world.answerTruly(waiting)
  expect(waiting.connection.received).toHaveLength(1)
})

describe('the answer of the device that was asked', () => {
  for (const nodes of [1, 2] as const)
    for (const family of FAMILIES)
      for (const ask of ASKS)
        it(`arrives: ${ask}, ${family} controller, at ${nodes === 1 ? 'the' : 'another'} node`, async () => {
          const world = await World.open({ nodes, family })
          const waiting = await world.wait(ask, family)
          const message = answerMessage(TRUE_ANSWER[ask], waiting.handle, TARGET)
          const carrier = ask === 'punch by UDP' ? 'udp' : 'tcp'
          await world.answer(world.last, carrier, message, { ip: HOME[family], port: 5_555 })
          expect(waiting.connection.received).toHaveLength(1)
        })
})
