import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { encodeBase64 } from '@tryst/protocol'
import type { ProxiedRequest } from '@tryst/rendezvous'
import { generateSecretKey, nodeSigner } from '@tryst/service'
import { eventually, RawClient } from './secure/raw-client.ts'
import { RawDevice } from './secure/raw-device.ts'
import { TestServers } from './secure/server.ts'

jest.setTimeout(60_000)

const signer = nodeSigner(generateSecretKey())
const licenceKey = encodeBase64(signer.publicKey)
const DEVICE_ID = '271828182'
const TOKEN = 'a-token'
/** Long enough for an offer to come, had there been one. */
const NO_OFFER_MS = 600

const opened: { close(): unknown }[] = []
const keep = <T extends { close(): unknown }>(one: T): T => {
  opened.push(one)
  return one
}
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close()
})

describe('inside an encrypted connection', () => {
  const asked: ProxiedRequest[] = []
  let servers: TestServers
  const node = () => servers.nodes[0] as TestServers['nodes'][number]
  const other = () => servers.nodes[1] as TestServers['nodes'][number]

  beforeAll(async () => {
    const httpProxy = {
      ask: async (request: ProxiedRequest) => {
        asked.push(request)
        return { status: 200, headers: [], body: Buffer.from('{}') }
      },
    }
    servers = await TestServers.start(2, { signer, expectedKey: licenceKey, httpProxy })
  })
  afterAll(() => servers.close())

  const secured = async () => {
    const client = keep(await RawClient.connect(node().ports.main))
    await client.secure(signer.publicKey)
    return client
  }
  const device = async (id = DEVICE_ID, at = other()) => keep(await RawDevice.register(id, at.ports.main))
  const punch = (id = DEVICE_ID) => ({
    punchHoleRequest: { id, licenceKey, version: '1.4.9', token: TOKEN },
  })

  it('a request for a relay is answered by a device of another node, and the device never hears of the token', async () => {
    const b = await device()
    const a = await secured()
    a.send({ requestRelay: { id: DEVICE_ID, uuid: 'u', relayServer: 'r:1', secure: true, token: TOKEN } })
    const { socketAddr, token } = await b.next('requestRelay')
    expect(token).toBe('')
    await b.answer({ relayResponse: { socketAddr, version: '1.4.9' } })
    expect((await a.receive()).relayResponse).toMatchObject({ refuseReason: '', feedback: 1, version: '1.4.9' })
  })

  it('answers of devices of this and of another node come as records in the order in which they leave', async () => {
    const [here, there] = [await device('271828183', node()), await device('271828184')]
    const a = await secured()
    for (const each of [here, there, here, there]) {
      a.send(punch(each.id))
      const { socketAddr } = await each.next('punchHole')
      await each.answer({ punchHoleSent: { socketAddr, id: each.id, version: '1.4.9', relayServer: each.id } })
      expect((await a.receive()).punchHoleResponse?.relayServer).toBe(each.id)
    }
    // Both at once: whichever leaves first is the first record.
    a.send(punch(here.id))
    a.send(punch(there.id))
    const [first, second] = [await here.next('punchHole'), await there.next('punchHole')]
    void here.answer({ punchHoleSent: { ...first, id: here.id, version: '1.4.9', relayServer: here.id } })
    void there.answer({ punchHoleSent: { ...second, id: there.id, version: '1.4.9', relayServer: there.id } })
    const names = [await a.receive(), await a.receive()].map((answer) => answer.punchHoleResponse?.relayServer)
    expect(names.sort()).toEqual([here.id, there.id])
  })

  it('refusals are records too', async () => {
    const a = await secured()
    a.send(punch('nobody-has-this'))
    expect((await a.receive()).punchHoleResponse).toMatchObject({ failure: 0 })
    a.send({ punchHoleRequest: { id: DEVICE_ID, licenceKey: 'wrong', token: TOKEN } })
    expect((await a.receive()).punchHoleResponse?.otherFailure).toMatch(/mismatch/)
    a.send({ requestRelay: { id: 'nobody-has-this', uuid: 'u' } })
    expect((await a.receive()).relayResponse?.refuseReason).toBe('ID does not exist')
  })

  it('a device registers, is pushed to and answers with empty frames in the clear', async () => {
    const b = await secured()
    const registration = { id: '314159265', uuid: Buffer.from('a uuid'), pk: new Uint8Array(32).fill(5) }
    b.send({ registerPk: registration })
    expect((await b.receive()).registerPkResponse).toMatchObject({ result: 0, keepAlive: 20 })
    const a = await secured()
    a.send(punch('314159265'))
    // They share an address here.
    const pushed = await b.receive()
    const { socketAddr } = pushed.fetchLocalAddr ?? {}
    expect(socketAddr?.length).toBeGreaterThan(0)
    const beat = await b.next()
    expect(beat.payload).toHaveLength(0)
    b.sendPayload(new Uint8Array(0))
    // The beat has moved no counter.
    a.send(punch('314159265'))
    expect((await b.receive()).union).toBe('fetchLocalAddr')
  })

  it('a request to the API is answered by the first message after it', async () => {
    const client = await secured()
    client.send({ httpProxyRequest: { method: 'POST', path: '/api/heartbeat', body: Buffer.from('{"id":"1"}') } })
    expect((await client.receive()).httpProxyResponse).toMatchObject({ status: 200, error: '' })
    expect(asked).toMatchObject([{ method: 'POST', path: '/api/heartbeat' }])
    expect(await client.closed()).toBe('ended')
  })

  it('a request to the API in the clear is not answered', async () => {
    const client = keep(await RawClient.connect(node().ports.main))
    client.send({ httpProxyRequest: { method: 'POST', path: '/api/login' } })
    await client.closed()
    expect(asked).toHaveLength(1)
  })

  it('a session is counted while its controller says that it lives', async () => {
    const sessions = () => node().server.kept.sessions
    const client = await secured()
    client.send({ hc: { token: TOKEN } })
    await eventually(() => sessions() === 1, 'the session')
    client.close()
    await eventually(() => sessions() === 0, 'the end of the session')
  })

  it('the NAT test and the online query are answered', async () => {
    const test = await secured()
    test.send({ testNatRequest: { serial: 3 } })
    expect((await test.receive()).testNatResponse?.port).toBe(test.localPort)
    const query = await secured()
    query.send({ onlineRequest: { id: 'x', peers: ['nobody-has-this'] } })
    expect((await query.receive()).onlineResponse?.states).toHaveLength(1)
  })
})

describe('the offer of encryption', () => {
  it('does not cost a device its answer that comes after it, and ends with a reset', async () => {
    const servers = keep(await TestServers.start(1, { signer, expectedKey: licenceKey }))
    const [node] = servers.nodes
    const port = node?.ports.main ?? 0
    const b = keep(await RawDevice.register(DEVICE_ID, port))
    const a = keep(await RawClient.connect(port))
    a.send({ punchHoleRequest: { id: DEVICE_ID, licenceKey } })
    const { socketAddr } = await b.next('punchHole')
    await b.answer({ punchHoleSent: { socketAddr, id: DEVICE_ID, version: '1.4.9' } }, NO_OFFER_MS)
    expect((await a.receive()).punchHoleResponse?.pk.length).toBeGreaterThan(64)
    expect(node?.server.counters.keyExchanges).toMatchObject({ offered: 1, plain: 1 })
  })

  it.each(['second port', 'server without a secret key'] as const)('is not made: %s', async (where) => {
    const withoutKey = where === 'server without a secret key'
    const servers = keep(await TestServers.start(1, { signer: withoutKey ? undefined : signer, env: { CONSOLE: 'N' } }))
    const [node] = servers.nodes
    const { main, natTest } = node?.ports ?? { main: 0, natTest: 0 }
    const client = keep(await RawClient.connect(withoutKey ? main : natTest))
    await expect(client.next(NO_OFFER_MS)).rejects.toThrow('did not come')
    client.send({ testNatRequest: { serial: 3 } })
    expect((await client.receive()).testNatResponse?.port).toBe(client.localPort)
    expect(node?.server.counters.keyExchanges.offered).toBe(0)
  })

  it('is not made to a client that has begun to say something, and that may take its time', async () => {
    const servers = keep(await TestServers.start(1, { signer }))
    const [node] = servers.nodes
    const client = keep(await RawClient.connect(node?.ports.main ?? 0))
    client.socket.write(Uint8Array.of(5 << 2))
    await expect(client.next(NO_OFFER_MS)).rejects.toThrow('did not come')
    client.socket.write(Buffer.from('a201020803', 'hex'))
    expect((await client.receive()).testNatResponse?.port).toBe(client.localPort)
  })

  it('is not made to a WebSocket', async () => {
    const servers = keep(await TestServers.start(1, { signer }))
    const [node] = servers.nodes
    const webSocket = new WebSocket(`ws://127.0.0.1:${node?.ports.webSocket}/`)
    keep(webSocket)
    const messages: unknown[] = []
    webSocket.onmessage = ({ data }) => messages.push(data)
    await new Promise((resolve) => {
      webSocket.onopen = resolve
    })
    await new Promise((resolve) => setTimeout(resolve, NO_OFFER_MS))
    expect({ messages, state: webSocket.readyState }).toEqual({ messages: [], state: WebSocket.OPEN })
  })

  it('leaves a stop of the server nothing to wait for', async () => {
    const servers = await TestServers.start(1, { signer })
    const clients = [1, 2, 3].map(async () => keep(await RawClient.connect(servers.nodes[0]?.ports.main ?? 0)))
    const [offered, secured] = await Promise.all(clients)
    await offered?.next()
    await secured?.secure(signer.publicKey)
    await servers.close()
    for (const client of await Promise.all(clients)) await client.closed()
  })
})
