import { describe, expect, it } from '@jest/globals'
import { decodeRendezvous, encodeRendezvous, type OutgoingRendezvousMessage, rendezvous } from '@tryst/protocol'
import type { Clock } from '../src/clock.ts'
import { ConnectionRegistrar } from '../src/connection-registrar.ts'
import { createDeviceIdentity } from '../src/device-identity.ts'
import { ENDED, type Received } from '../src/inbox.ts'
import type { Link } from '../src/link.ts'
import { LinkError } from '../src/link-error.ts'
import type { RegistrationStatus } from '../src/registration.ts'

const { Result } = rendezvous.RegisterPkResponse
const BEAT = new Uint8Array()
const ENDPOINT = { ip: '192.0.2.1', port: 21_118 }

/** Time that passes when a test says so. */
class ManualClock implements Clock {
  #nowMs = 1_000
  #timers: { readonly dueMs: number; readonly action: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, action: () => void) {
    const timer = { dueMs: this.#nowMs + delayMs, action }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      await settled()
      const next = this.#timers.toSorted((a, b) => a.dueMs - b.dueMs)[0]
      if (!next || next.dueMs > untilMs) break
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.#timers = this.#timers.filter((one) => one !== next)
      next.action()
    }
    this.#nowMs = untilMs
    await settled()
  }
}

/** Promises that are settled by now have had their effect. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

/** The server's end of a WebSocket: what arrives is noted with its time. */
class FakeLink implements Link {
  readonly transport = 'websocket'
  readonly local = ENDPOINT
  readonly remote = ENDPOINT
  readonly failure = undefined
  readonly sent: { readonly atMs: number; readonly what: string }[] = []
  readonly #ended = Promise.withResolvers<void>()
  readonly #queue: Received[] = []
  #wake: (() => void) | undefined
  isClosed = false

  constructor(private readonly clock: Clock) {}

  get closed(): Promise<void> {
    return this.#ended.promise
  }

  send(payload: Uint8Array): boolean {
    const what = payload.length === 0 ? 'echo' : `${decodeRendezvous(payload).union}`
    this.sent.push({ atMs: this.clock.now(), what })
    return true
  }

  async drained(): Promise<void> {}

  async next(limitMs = Number.POSITIVE_INFINITY): Promise<Received> {
    if (this.#queue.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        if (Number.isFinite(limitMs)) this.clock.after(limitMs, resolve)
      })
    }
    return this.#queue.shift() ?? (this.isClosed ? ENDED : 'timeout')
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.#ended.resolve()
    this.#wake?.()
  }

  /** What the server says. */
  async say(message: OutgoingRendezvousMessage | Uint8Array): Promise<void> {
    this.#queue.push(message instanceof Uint8Array ? message : encodeRendezvous(message))
    this.#wake?.()
    await settled()
  }
}

/** A registrar, and the connections that it makes. */
async function start() {
  const clock = new ManualClock()
  const links: (FakeLink & { openedMs: number })[] = []
  const statuses: RegistrationStatus[] = []
  const identity = createDeviceIdentity()
  const network = {
    server: { host: 'id.example', port: 21_116, key: '' },
    transport: 'websocket' as const,
    clock,
    dialler: {
      webSocket: async () => {
        const link = Object.assign(new FakeLink(clock), { openedMs: clock.now() })
        links.push(link)
        return link
      },
      tcp: () => Promise.reject(new LinkError('refused', 'id.example')),
    },
  }
  const registrar = new ConnectionRegistrar(network, {
    identity,
    drawNewId: () => statuses.push('starting'),
    statusChanged: (status) => void statuses.push(status),
    answered: () => undefined,
    pushed: () => undefined,
    insecure: () => undefined,
  })
  await registrar.start()
  const [first] = links
  if (!first) throw new Error('no connection was made')
  const times = (link: FakeLink, what: string) =>
    link.sent.filter((one) => one.what === what).map(({ atMs }) => atMs - 1_000)
  return { clock, links, first, statuses, registrar, times }
}

const answer = (result: rendezvous.RegisterPkResponse.Result, keepAlive = 20) => ({
  registerPkResponse: { result, keepAlive },
})

/** For so long; the server beats every ten seconds. */
async function beatFor(ms: number, clock: ManualClock, link: FakeLink): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10_000) {
    await clock.pass(10_000)
    await link.say(BEAT)
  }
}

describe('a device that registers over a connection', () => {
  it('says nothing but echoes once it is registered', async () => {
    const { clock, first, statuses, registrar, times } = await start()
    await first.say(answer(Result.OK))
    await beatFor(600_000, clock, first)
    expect(times(first, 'registerPk')).toEqual([0])
    expect(times(first, 'echo')).toHaveLength(60)
    expect(statuses).toEqual(['online'])
    await registrar.close()
  })

  it('gives up 1.5 keep-alives after it heard the server last, and connects anew', async () => {
    const { clock, links, first, statuses, registrar } = await start()
    await first.say(answer(Result.OK, 20))
    await beatFor(50_000, clock, first)
    await clock.pass(29_900)
    expect(first.isClosed).toBe(false)
    await clock.pass(200)
    expect(first.isClosed).toBe(true)
    expect(links).toHaveLength(2)
    expect(statuses).toEqual(['online', 'connecting'])
    await registrar.close()
  })

  it('asks again every 15 s where it is refused, whatever beats come', async () => {
    const { clock, first, registrar, times } = await start()
    await first.say(answer(Result.SERVER_ERROR))
    await beatFor(60_000, clock, first)
    expect(times(first, 'registerPk')).toEqual([0, 15_000, 30_000, 45_000, 60_000])
    await registrar.close()
  })

  it('asks again after 16 s, then every 30 s, where the operator has to admit it', async () => {
    const { clock, first, registrar, times } = await start()
    await first.say(answer(Result.NOT_DEPLOYED))
    await clock.pass(16_000)
    await first.say(answer(Result.NOT_DEPLOYED))
    await beatFor(30_000, clock, first)
    await first.say(answer(Result.NOT_DEPLOYED))
    await beatFor(30_000, clock, first)
    expect(times(first, 'registerPk')).toEqual([0, 16_000, 46_000, 76_000])
    await registrar.close()
  })

  it('registers under another id at once where its own is somebody else’s', async () => {
    const { first, registrar, times } = await start()
    await first.say(answer(Result.UUID_MISMATCH))
    expect(times(first, 'registerPk')).toEqual([0, 0])
    await registrar.close()
  })

  it('connects anew 17 s after it began, or at once where that was longer ago', async () => {
    const { clock, links, first, registrar } = await start()
    await first.say(answer(Result.OK))
    await clock.pass(5_000)
    await first.close()
    await clock.pass(20_000)
    expect(links.map(({ openedMs }) => openedMs - 1_000)).toEqual([0, 17_000])
    const [, second] = links
    await second?.say(answer(Result.OK))
    await clock.pass(20_000)
    await second?.close()
    await clock.pass(1)
    expect(links.map(({ openedMs }) => openedMs - 1_000)).toEqual([0, 17_000, 45_000])
    await registrar.close()
  })
})
