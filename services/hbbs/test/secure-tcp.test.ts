import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { encodeBase64 } from '@tryst/protocol'
import { KeyOfferError } from '@tryst/protocol/secure-tcp'
import { generateSecretKey, nodeSigner } from '@tryst/service'
import { eventually, RawClient } from './secure/raw-client.ts'
import { RawDevice } from './secure/raw-device.ts'
import { TestServers } from './secure/server.ts'

jest.setTimeout(60_000)

/** What users do not notice. */
const NOTICED_MS = 300
const DEVICE_ID = '271828182'

const signer = nodeSigner(generateSecretKey())
const key = encodeBase64(signer.publicKey)
const otherKey = nodeSigner(generateSecretKey()).publicKey

/** How long this process itself kept others waiting meanwhile: on a busy machine that is no fault of the server. */
const lag = monitorEventLoopDelay({ resolution: 5 })
const noticedMs = () => NOTICED_MS + 2 * (lag.max / 1e6)
beforeEach(() => {
  lag.enable()
  lag.reset()
})
afterEach(() => void lag.disable())

const opened: { close(): unknown }[] = []
const keep = <T extends { close(): unknown }>(one: T): T => {
  opened.push(one)
  return one
}
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

type Keys = 'no key' | 'right key' | 'wrong key'
type Account = 'signed in' | 'signed out'
type Manner = 'sends at once' | 'waits for the server' | 'never reads'
type Nodes = 'one node' | 'answer from another node'

const CELLS = (['no key', 'right key', 'wrong key'] as const).flatMap((keys: Keys) =>
  (['signed in', 'signed out'] as const).flatMap((account: Account) =>
    (['sends at once', 'waits for the server', 'never reads'] as const).flatMap((manner: Manner) =>
      (['one node', 'answer from another node'] as const).map((nodes: Nodes) => ({ keys, account, manner, nodes })),
    ),
  ),
)

/** What a client with this key presents. Without one it asks a server that wants none. */
const licenceKeyOf = (keys: Keys) => (keys === 'right key' ? key : keys === 'wrong key' ? encodeBase64(otherKey) : '')

describe('secure TCP on the main port', () => {
  /** Of a server that checks no keys, and of two. */
  const servers = {} as Record<Nodes, TestServers>
  const devices = {} as Record<Nodes, RawDevice>

  beforeAll(async () => {
    servers['one node'] = await TestServers.start(1, { signer })
    servers['answer from another node'] = await TestServers.start(2, { signer })
    for (const nodes of ['one node', 'answer from another node'] as const) {
      const port = servers[nodes].nodes.at(-1)?.ports.main ?? 0
      devices[nodes] = await RawDevice.register(DEVICE_ID, port)
      // Devices speak up before they fall silent; the suite takes longer than that.
      const [device, timer] = [devices[nodes], setInterval(() => device.heartbeat(), 5_000)]
      timers.push(timer)
    }
  })
  const timers: NodeJS.Timeout[] = []
  afterAll(async () => {
    for (const timer of timers) clearInterval(timer)
    for (const device of Object.values(devices)) device.close()
    for (const each of Object.values(servers)) await each.close()
  })

  const connect = async (nodes: Nodes, options = {}) =>
    keep(await RawClient.connect(servers[nodes].nodes[0]?.ports.main ?? 0, options))
  const counted = (nodes: Nodes) => ({ ...servers[nodes].nodes[0]?.server.counters.keyExchanges })

  const punch = (keys: Keys, account: Account) => ({
    punchHoleRequest: {
      ...{ id: DEVICE_ID, licenceKey: licenceKeyOf(keys), version: '1.4.9' },
      token: account === 'signed in' ? 'a-token' : '',
    },
  })

  /** The device punches; resolves when it has been asked. */
  async function devicePunches(nodes: Nodes): Promise<void> {
    const { socketAddr } = await devices[nodes].next('punchHole')
    void devices[nodes].answer({ punchHoleSent: { socketAddr, id: DEVICE_ID, version: '1.4.9', relayServer: 'r:1' } })
  }

  /** Sends the request, has the device answer and reads that. */
  async function introduced(client: RawClient, keys: Keys, account: Account, nodes: Nodes) {
    const askedMs = performance.now()
    client.send(punch(keys, account))
    await devicePunches(nodes)
    const { punchHoleResponse } = await client.receive()
    return { response: punchHoleResponse, tookMs: performance.now() - askedMs }
  }

  it.each(CELLS)('$keys, $account, a client that $manner: $nodes', async ({ keys, account, manner, nodes }) => {
    const before = counted(nodes)
    const client = await connect(nodes, { reads: manner !== 'never reads' })
    const feedback = account === 'signed in' ? 1 : 0

    if (manner === 'sends at once') {
      // Whatever its key and account: nothing is said before it is answered, and it is answered in the clear.
      const { response, tookMs } = await introduced(client, keys, account, nodes)
      expect(response?.pk.length).toBeGreaterThan(64)
      expect(response?.feedback).toBe(0)
      expect(tookMs).toBeLessThan(noticedMs())
      expect(counted(nodes)).toEqual(before)
      return
    }

    if (manner === 'never reads') {
      // It may say something after the offer has come, too.
      await eventually(() => counted(nodes).offered !== before.offered, 'an offer')
      const askedMs = performance.now()
      client.send(punch(keys, account))
      await devicePunches(nodes)
      expect(performance.now() - askedMs).toBeLessThan(noticedMs())
      expect(counted(nodes)).toMatchObject({ offered: (before.offered ?? 0) + 1, plain: (before.plain ?? 0) + 1 })
      client.socket.resume()
      expect(await client.receive()).toMatchObject({ union: 'keyExchange' })
      expect((await client.receive()).punchHoleResponse?.socketAddr.length).toBeGreaterThan(0)
      return
    }

    if (keys === 'right key') {
      const offeredMs = await client.secure(signer.publicKey)
      expect(offeredMs).toBeLessThan(noticedMs())
      const { response, tookMs } = await introduced(client, keys, account, nodes)
      expect(response?.feedback).toBe(feedback)
      expect(response?.pk.length).toBeGreaterThan(64)
      expect(tookMs).toBeLessThan(noticedMs())
      expect(counted(nodes)).toMatchObject({ encrypted: (before.encrypted ?? 0) + 1 })
    } else if (keys === 'wrong key') {
      // "Signature mismatch in key exchange": the client goes, and nobody has to wait for it.
      await expect(client.secure(otherKey)).rejects.toThrow(KeyOfferError)
      client.close()
      const unanswered = (before.unanswered ?? 0) + 1
      await eventually(() => counted(nodes).unanswered === unanswered, 'the end of the offer')
    } else {
      // Without a key a client does not know whose the offer is; those that go on all the same are served in the clear.
      const offer = await client.receive()
      expect([offer.union, offer.atMs < noticedMs()]).toEqual(['keyExchange', true])
      const { response, tookMs } = await introduced(client, keys, account, nodes)
      expect(response?.feedback).toBe(0)
      expect(tookMs).toBeLessThan(noticedMs())
      expect(counted(nodes)).toMatchObject({ plain: (before.plain ?? 0) + 1 })
    }
  })
})
