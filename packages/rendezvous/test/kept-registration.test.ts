import { describe, expect, it } from '@jest/globals'
import { rendezvous, unmangleAddress } from '@tryst/protocol'
import type { PeerId } from '../src/peer-identity.ts'
import type { RendezvousSettings } from '../src/settings.ts'
import { TestBench, TestConnection } from './test-bench.ts'
import { TestCluster } from './test-cluster.ts'

const { Result } = rendezvous.RegisterPkResponse
const ID = '123456789'
const HOME = '203.0.113.9'
const ELSEWHERE = '203.0.113.77'
const CONTROLLER = { ip: '198.51.100.4', port: 50_000 }
const KEEP_ALIVE_MS = 20_000
const punch = { punchHoleRequest: { id: ID, natType: rendezvous.NatType.ASYMMETRIC, licenceKey: 'KEY' } }

const registerPk = (id: string, { uuid = `uuid-${id}`, key = 1 } = {}) => ({
  registerPk: { id, uuid: new TextEncoder().encode(uuid), pk: new Uint8Array(32).fill(key) },
})

/** What kept connections bring on top of a bench. */
class KeptBench extends TestBench {
  readonly cluster: TestCluster
  readonly kept: TestConnection[] = []
  #connections: TestConnection[] = []

  constructor(settings: Partial<RendezvousSettings> = {}, isAlone = true) {
    const cluster = new TestCluster()
    cluster.isAlone = isAlone
    super(settings, { cluster, onKept: (connection) => void this.kept.push(connection as TestConnection) })
    this.cluster = cluster
  }

  connect(ip = HOME, port = 40_000, transport: 'tcp' | 'websocket' = 'tcp'): TestConnection {
    const connection = new TestConnection({ ip, port }, transport)
    this.#connections.push(connection)
    return connection
  }

  /** The connection of a device that registered over it. */
  async device(id = ID, ip = HOME, transport: 'tcp' | 'websocket' = 'tcp'): Promise<TestConnection> {
    const connection = this.connect(ip, 40_000, transport)
    const [answer] = await this.message(connection, registerPk(id))
    expect(answer?.registerPkResponse?.result).toBe(Result.OK)
    return connection
  }

  isOnline(id = ID): boolean {
    return this.server.presence.isOnline(id as PeerId, this.nowMs)
  }

  /** Time passes as it does for a server that sweeps four times a second; clients for whom `echoes` holds answer. */
  elapse(ms: number, echoes: (connection: TestConnection) => boolean = () => true): void {
    for (let passed = 0; passed < ms; passed += 250) {
      const beats = new Map(this.#connections.map((connection) => [connection, connection.beats]))
      this.passTime(250)
      this.server.sweep()
      for (const [connection, before] of beats) {
        if (connection.isDestroyed) this.end(connection)
        else if (connection.beats > before && echoes(connection)) {
          this.server.onMessage(connection, new Uint8Array())
        }
      }
    }
  }

  end(connection: TestConnection): void {
    connection.closed = true
    if (!this.#connections.includes(connection)) return
    this.#connections = this.#connections.filter((one) => one !== connection)
    this.server.onClose(connection)
  }
}

describe('registration over a connection', () => {
  it('is accepted, with the keep-alive that the server promises, and the connection stays', async () => {
    const bench = new KeptBench()
    const connection = bench.connect()
    const [answer] = await bench.message(connection, registerPk(ID))
    expect(answer?.registerPkResponse).toMatchObject({ result: Result.OK, keepAlive: 20 })
    expect(connection.closed).toBe(false)
    expect(connection.isKept).toBe(true)
    expect(bench.kept).toEqual([connection])
    expect(bench.isOnline()).toBe(true)
  })

  it('says no keep-alive over UDP', async () => {
    const bench = new KeptBench()
    const [answer] = await bench.datagram(registerPk(ID), HOME)
    expect(answer?.registerPkResponse).toMatchObject({ result: Result.OK, keepAlive: 0 })
  })

  it('keeps a device online for a day that does nothing but echo, and off when the connection ends', async () => {
    const bench = new KeptBench()
    const connection = await bench.device()
    bench.elapse(86_400_000)
    expect(bench.isOnline()).toBe(true)
    bench.end(connection)
    expect(bench.isOnline()).toBe(false)
    expect(bench.server.kept.size).toBe(0)
    expect(bench.server.presence.size).toBe(0)
  })

  it('lets a client hear from the server at least once in each keep-alive', async () => {
    const bench = new KeptBench()
    const connection = await bench.device()
    for (let beats = 0; beats < 50; beats = connection.beats) {
      bench.elapse(KEEP_ALIVE_MS)
      expect(connection.beats).toBeGreaterThan(beats)
    }
  })

  it('takes a device whose power was cut for gone within 30 s, whenever that happens, and not within 20 s', async () => {
    for (let offset = 0; offset < 12_000; offset += 250) {
      const bench = new KeptBench()
      const connection = await bench.device()
      bench.elapse(30_000 + offset)
      const cutMs = bench.nowMs
      while (!connection.isDestroyed) bench.elapse(250, () => false)
      expect(bench.nowMs - cutMs).toBeLessThanOrEqual(1.5 * KEEP_ALIVE_MS)
      expect(bench.nowMs - cutMs).toBeGreaterThan(KEEP_ALIVE_MS - 1_000)
      expect(bench.isOnline()).toBe(false)
    }
  })

  it('follows the keep-alive that is set', async () => {
    const bench = new KeptBench({ keepAliveMs: 60_000 })
    const connection = bench.connect()
    const [answer] = await bench.message(connection, registerPk(ID))
    expect(answer?.registerPkResponse?.keepAlive).toBe(60)
    bench.elapse(55_000, () => false)
    expect(connection.isDestroyed).toBe(false)
    bench.elapse(35_000, () => false)
    expect(connection.isDestroyed).toBe(true)
  })

  it('takes nobody for gone because the server slept or its clock was set', async () => {
    const bench = new KeptBench()
    const connection = await bench.device()
    bench.elapse(30_000)
    for (const jumpMs of [3_600_000, -7_200_000, 25_000, 60_000]) {
      bench.passTime(jumpMs)
      bench.elapse(250)
      expect(connection.isDestroyed).toBe(false)
    }
    bench.elapse(60_000)
    expect(bench.isOnline()).toBe(true)
  })

  it('spreads what it says to many over the time that it has', async () => {
    const bench = new KeptBench()
    const connections: TestConnection[] = []
    for (let n = 0; n < 400; n++) {
      const connection = bench.connect(`10.0.0.${n % 250}`, n)
      bench.server.kept.keep(connection)
      connections.push(connection)
    }
    bench.elapse(10_000)
    const said = () => connections.reduce((sum, { beats }) => sum + beats, 0)
    for (let turn = 0; turn < 40; turn++) {
      const before = said()
      bench.elapse(250)
      expect(said() - before).toBeLessThanOrEqual(20)
    }
  })

  it('lets a device that is refused ask again on the same connection, although it says nothing for half a minute', async () => {
    const bench = new KeptBench()
    bench.identities.failing = true
    const connection = bench.connect()
    const [refusal] = await bench.message(connection, registerPk(ID))
    expect(refusal?.registerPkResponse?.result).toBe(Result.SERVER_ERROR)
    bench.elapse(45_000)
    expect(connection.closed).toBe(false)
    expect(bench.kept).toEqual([])
    bench.identities.failing = false
    const [answer] = await bench.message(connection, registerPk(ID))
    expect(answer?.registerPkResponse?.result).toBe(Result.OK)
  })

  it('refuses another uuid, and takes the id that the device draws thereupon', async () => {
    const bench = new KeptBench()
    await bench.register(ID, ELSEWHERE)
    const connection = bench.connect()
    const [refusal] = await bench.message(connection, registerPk(ID, { uuid: 'another' }))
    expect(refusal?.registerPkResponse?.result).toBe(Result.UUID_MISMATCH)
    expect(await bench.message(connection, registerPk(ID, { uuid: 'another' }))).toEqual([])
    const [answer] = await bench.message(connection, registerPk('1234567890', { uuid: 'another' }))
    expect(answer?.registerPkResponse?.result).toBe(Result.OK)
    expect(bench.isOnline('1234567890')).toBe(true)
  })

  it('is told so although another device behind the same proxy just was', async () => {
    const bench = new KeptBench()
    await bench.register(ID, ELSEWHERE)
    for (const uuid of ['second', 'third']) {
      const connection = bench.connect(HOME, 0, 'websocket')
      const [refusal] = await bench.message(connection, registerPk(ID, { uuid }))
      expect(refusal?.registerPkResponse?.result).toBe(Result.UUID_MISMATCH)
      expect(await bench.message(connection, registerPk(ID, { uuid }))).toEqual([])
    }
  })

  it('is held to the limits of its address', async () => {
    const bench = new KeptBench()
    const results = []
    for (let n = 0; n < 33; n++) {
      const [answer] = await bench.message(bench.connect(HOME, n), registerPk(`10000000${n}`))
      results.push(answer?.registerPkResponse?.result)
    }
    expect(results.slice(0, 32)).toEqual(new Array(32).fill(Result.OK))
    expect(results[32]).toBe(Result.TOO_FREQUENT)
  })

  it('leaves room for other connections', async () => {
    const bench = new KeptBench({ maxKeptDevices: 1 })
    await bench.device()
    const other = bench.connect(ELSEWHERE)
    const [refusal] = await bench.message(other, registerPk('987654321'))
    expect(refusal?.registerPkResponse?.result).toBe(Result.SERVER_ERROR)
    expect(bench.events).toContain(`limitHit devices-on-connections ${ELSEWHERE}`)
    // The device itself comes back over a new connection.
    await bench.device()
  })

  it('closes the connection of a device that this node must not take', async () => {
    const bench = new KeptBench({}, false)
    bench.cluster.isCutOff = true
    const connection = bench.connect()
    expect(await bench.message(connection, registerPk(ID))).toEqual([])
    expect(connection.closed).toBe(true)
    bench.cluster.isCutOff = false
    bench.server.introducer.drain()
    const another = bench.connect()
    expect(await bench.message(another, registerPk(ID))).toEqual([])
    expect(another.closed).toBe(true)
  })

  it('notes nothing for a connection that ended before the store had answered', async () => {
    const bench = new KeptBench()
    const stored = Promise.withResolvers<void>()
    bench.identities.pause = stored.promise
    const connection = bench.connect()
    bench.server.registrar.register(
      { id: ID, uuid: Uint8Array.of(1), pk: new Uint8Array(32).fill(1) } as rendezvous.RegisterPk,
      connection.remote,
      { kind: 'connection', connection, send: () => undefined },
    )
    bench.end(connection)
    stored.resolve()
    await bench.settled()
    expect(bench.server.presence.size).toBe(0)
    expect(bench.server.kept.devices).toBe(0)
    expect(bench.server.counters.registrations.connection_closed).toBe(1)
  })

  it('serves other messages on the same connection, and does not close it behind them', async () => {
    const bench = new KeptBench()
    const connection = await bench.device()
    const [test] = await bench.message(connection, { testNatRequest: { serial: 3 } })
    expect(test?.testNatResponse?.port).toBe(40_000)
    const [online] = await bench.message(connection, { onlineRequest: { id: 'x', peers: [ID] } })
    expect([...(online?.onlineResponse?.states ?? [])]).toEqual([0x80])
    const [refusal] = await bench.message(connection, { punchHoleRequest: { id: 'nobody', licenceKey: 'KEY' } })
    expect(refusal?.punchHoleResponse).toBeDefined()
    await bench.message(connection, { relayResponse: { socketAddr: new Uint8Array(6) } })
    expect(connection.closed).toBe(false)
    expect(bench.isOnline()).toBe(true)
  })

  it("keeps a controller's HealthCheck open as long as it answers", async () => {
    const bench = new KeptBench()
    const connection = bench.connect(CONTROLLER.ip)
    expect(await bench.message(connection, { hc: { token: 'token' } })).toEqual([])
    bench.elapse(120_000)
    expect(connection.closed).toBe(false)
    expect(connection.beats).toBeGreaterThan(5)
    bench.elapse(30_000, () => false)
    expect(connection.isDestroyed).toBe(true)
  })
})

describe('a device that is reached over a connection', () => {
  it('gets pushes there, and no datagrams', async () => {
    const bench = new KeptBench()
    const connection = await bench.device()
    await bench.message(bench.connect(CONTROLLER.ip), punch)
    expect(connection.received.at(-1)?.punchHole).toBeDefined()
    await bench.message(bench.connect(CONTROLLER.ip), { requestRelay: { id: ID, uuid: 'pairing', licenceKey: 'KEY' } })
    expect(connection.received.at(-1)?.requestRelay?.uuid).toBe('pairing')
    await bench.message(bench.connect(HOME, 50_001), punch)
    expect(connection.received.at(-1)?.fetchLocalAddr).toBeDefined()
    expect(bench.sent).toEqual([])
  })

  it('is not asked for a local address when it has a WebSocket only', async () => {
    const bench = new KeptBench()
    const connection = await bench.device(ID, HOME, 'websocket')
    await bench.message(bench.connect(HOME, 50_001), punch)
    expect(connection.received.at(-1)?.punchHole).toBeDefined()
  })

  it('is told of controllers behind a proxy by an address with a port, and answers them with one', async () => {
    const bench = new KeptBench()
    const connection = await bench.device(ID, HOME, 'websocket')
    const controller = bench.connect(CONTROLLER.ip, 0, 'websocket')
    await bench.message(controller, punch)
    const handle = connection.received.at(-1)?.punchHole?.socketAddr ?? new Uint8Array()
    expect(unmangleAddress(handle)).toMatchObject({ ip: CONTROLLER.ip, port: expect.any(Number) })
    expect(unmangleAddress(handle).port).not.toBe(0)
    const punchHoleSent = { socketAddr: handle, id: ID, version: '1.4.9', relayServer: 'relay.example:21117' }
    await bench.message(bench.connect(HOME, 0, 'websocket'), { punchHoleSent })
    const { socketAddr } = controller.received.at(-1)?.punchHoleResponse ?? { socketAddr: new Uint8Array() }
    expect(unmangleAddress(socketAddr)).toMatchObject({ ip: HOME, port: 0 })
  })

  it('has its own address said where it names no local one', async () => {
    const bench = new KeptBench()
    const connection = await bench.device()
    const controller = bench.connect(HOME, 50_001)
    await bench.message(controller, punch)
    const handle = connection.received.at(-1)?.fetchLocalAddr?.socketAddr ?? new Uint8Array()
    await bench.message(bench.connect(HOME, 41_000), { localAddr: { socketAddr: handle, id: ID, version: '1.4.9' } })
    const { socketAddr } = controller.received.at(-1)?.punchHoleResponse ?? { socketAddr: new Uint8Array() }
    expect(unmangleAddress(socketAddr)).toMatchObject({ ip: HOME, port: 41_000 })
  })

  it('is offline when it does not read what it is sent', async () => {
    const bench = new KeptBench()
    const connection = await bench.device()
    connection.unsentBytes = 100_000
    const before = connection.received.length
    const [refusal] = await bench.message(bench.connect(CONTROLLER.ip), punch)
    expect(refusal?.punchHoleResponse?.failure).toBe(rendezvous.PunchHoleResponse.Failure.OFFLINE)
    expect(connection.received).toHaveLength(before)
    bench.elapse(30_000)
    expect(connection.beats).toBe(0)
    expect(connection.isDestroyed).toBe(true)
  })

  it('is moved at once to the connection that it registers with next; the end of the old one changes nothing', async () => {
    const bench = new KeptBench({}, false)
    const first = await bench.device()
    const second = await bench.device(ID, ELSEWHERE)
    expect(first.isDestroyed).toBe(true)
    bench.end(first)
    expect(bench.isOnline()).toBe(true)
    await bench.message(bench.connect(CONTROLLER.ip), punch)
    expect(second.received.at(-1)?.punchHole).toBeDefined()
    expect(bench.cluster.asked.filter((question) => !question.startsWith('awaitAnswers'))).toEqual([
      `claim ${ID} ${HOME} via tcp-1`,
      `claim ${ID} ${ELSEWHERE} via tcp-2`,
    ])
    bench.end(second)
    expect(bench.cluster.asked.at(-1)).toBe(`release ${ID} via tcp-2`)
    expect(bench.isOnline()).toBe(false)
  })

  it('is moved to UDP by a registration, by a heartbeat alone not', async () => {
    const bench = new KeptBench({}, false)
    const connection = await bench.device()
    for (const ip of [HOME, ELSEWHERE, '127.0.0.1']) expect(await bench.heartbeat(ID, ip)).toBe(true)
    expect(connection.isDestroyed).toBe(false)
    expect(await bench.register(ID, HOME, { port: 7000 })).toBe(Result.OK)
    expect(connection.isDestroyed).toBe(true)
    bench.end(connection)
    expect(bench.isOnline()).toBe(true)
    expect(await bench.heartbeat(ID, HOME, 7000)).toBe(false)
    expect(bench.cluster.asked).toEqual([`claim ${ID} ${HOME} via tcp-1`, `claim ${ID} ${HOME}`])
    bench.sent.length = 0
    await bench.message(bench.connect(CONTROLLER.ip), punch)
    expect(bench.sent.at(-1)).toMatchObject({ to: `${HOME}:7000`, message: { union: 'punchHole' } })
  })

  it('is moved from UDP to a connection', async () => {
    const bench = new KeptBench({}, false)
    await bench.register(ID, HOME, { port: 7000 })
    const connection = await bench.device()
    bench.sent.length = 0
    await bench.message(bench.connect(CONTROLLER.ip), punch)
    expect(bench.sent).toEqual([])
    expect(connection.received.at(-1)?.punchHole).toBeDefined()
    expect(bench.cluster.asked.slice(0, 2)).toEqual([`claim ${ID} ${HOME}`, `claim ${ID} ${HOME} via tcp-1`])
  })

  it('loses its connection when another node has it', async () => {
    const bench = new KeptBench({}, false)
    const connection = await bench.device()
    bench.cluster.local?.forget(ID as PeerId)
    expect(connection.isDestroyed).toBe(true)
    bench.end(connection)
    expect(bench.cluster.asked).toEqual([`claim ${ID} ${HOME} via tcp-1`])
    expect(bench.cluster.local?.push(ID as PeerId, new Uint8Array())).toBe('not-mine')
  })

  it('leaves its old id when it registers another one on the same connection', async () => {
    const bench = new KeptBench({}, false)
    const connection = await bench.device()
    await bench.message(connection, registerPk('new-name', { uuid: `uuid-${ID}` }))
    expect(connection.closed).toBe(false)
    expect([bench.isOnline(), bench.isOnline('new-name')]).toEqual([false, true])
    expect(bench.cluster.asked).toEqual([
      `claim ${ID} ${HOME} via tcp-1`,
      `release ${ID} via tcp-1`,
      `claim new-name ${HOME} via tcp-1`,
    ])
  })

  it('says nothing to the other nodes while it is idle, nor when it registers again on the same connection', async () => {
    const bench = new KeptBench({}, false)
    const connection = await bench.device()
    bench.cluster.asked.length = 0
    bench.elapse(3_600_000)
    await bench.message(connection, registerPk(ID))
    expect(bench.cluster.asked).toEqual([])
  })

  it('is nobody’s when its node retires, and the end of its connection says nothing more', async () => {
    const bench = new KeptBench({}, false)
    const connection = await bench.device()
    await bench.server.retire()
    bench.cluster.asked.length = 0
    expect(bench.cluster.local?.holds(ID as PeerId)).toBeUndefined()
    expect(bench.cluster.local?.push(ID as PeerId, new Uint8Array(1))).toBe('silent')
    bench.end(connection)
    expect(bench.cluster.asked).toEqual([])
  })

  it('is reached after an hour behind a proxy that ends what has been silent for a minute', async () => {
    const bench = new KeptBench()
    const connection = await bench.device(ID, HOME, 'websocket')
    for (let minutes = 0; minutes < 60; minutes++) {
      const { beats } = connection
      bench.elapse(60_000)
      expect(connection.beats).toBeGreaterThan(beats)
    }
    await bench.message(bench.connect(CONTROLLER.ip, 0, 'websocket'), punch)
    expect(connection.received.at(-1)?.punchHole).toBeDefined()
  })

  it('is named to other nodes that ask for what is held here', async () => {
    const bench = new KeptBench({}, false)
    await bench.device()
    bench.elapse(120_000)
    expect(bench.cluster.local?.holds(ID as PeerId)).toBe(HOME)
    expect([...(bench.cluster.local?.devices() ?? [])]).toEqual([{ id: ID, ip: HOME }])
  })
})
