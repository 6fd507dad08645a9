import { describe, expect, it } from '@jest/globals'
import { type Endpoint, encodeRendezvous, type rendezvous } from '@tryst/protocol'
import type { HttpProxy, ProxiedAnswer, ProxiedRequest } from '../src/http-proxy.ts'
import { TestBench, TestConnection } from './test-bench.ts'

/** A connection whose client has taken the server's key. */
class EncryptedConnection extends TestConnection {
  readonly isEncrypted = true
}

/** An API that answers when it is told to. */
class TestApi implements HttpProxy {
  readonly asked: { request: ProxiedRequest; clientIp: string }[] = []
  readonly #answers: PromiseWithResolvers<ProxiedAnswer>[] = []

  ask(request: ProxiedRequest, clientIp: string): Promise<ProxiedAnswer> {
    this.asked.push({ request, clientIp })
    const answer = Promise.withResolvers<ProxiedAnswer>()
    this.#answers.push(answer)
    return answer.promise
  }

  async answer(text: string, status = 200): Promise<void> {
    this.#answers.shift()?.resolve({
      status,
      headers: [{ name: 'content-type', value: 'application/json; charset=utf-8' }],
      body: Buffer.from(text),
    })
    await settled()
  }

  async fail(): Promise<void> {
    this.#answers.shift()?.reject(new Error('away'))
    await settled()
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

const HEARTBEAT = { method: 'POST', path: '/api/heartbeat', body: Buffer.from('{"id":"1"}') }
const FROM: Endpoint = { ip: '192.0.2.7', port: 50_000 }

function send(
  bench: TestBench,
  connection: TestConnection,
  request: rendezvous.HttpProxyRequest.$Properties = HEARTBEAT,
) {
  return bench.server.onMessage(connection, encodeRendezvous({ httpProxyRequest: request }))
}

describe('requests to the API over connections to the ID server', () => {
  it('are answered with what the API says, and the connection ends', async () => {
    const api = new TestApi()
    const bench = new TestBench({}, { httpProxy: api })
    const connection = new EncryptedConnection(FROM)
    expect(send(bench, connection)).toBe('valid')
    expect(api.asked).toMatchObject([{ request: { method: 'POST', path: '/api/heartbeat' }, clientIp: '192.0.2.7' }])
    expect(connection.received).toEqual([])
    await api.answer('{}')
    expect(connection.received).toMatchObject([{ httpProxyResponse: { status: 200, error: '' } }])
    expect(Buffer.from(connection.received[0]?.httpProxyResponse?.body ?? []).toString()).toBe('{}')
    expect(connection.closed).toBe(true)
    expect(bench.server.counters.proxied.answered).toBe(1)
  })

  it('get what the API refuses as an answer, too', async () => {
    const api = new TestApi()
    const bench = new TestBench({}, { httpProxy: api })
    const connection = new EncryptedConnection(FROM)
    send(bench, connection)
    await api.answer('{"error":"Invalid token"}', 401)
    expect(connection.received).toMatchObject([{ httpProxyResponse: { status: 401, error: '' } }])
  })

  it.each([
    ['TCP', new TestConnection(FROM)],
    ['WebSocket', new TestConnection(FROM, 'websocket')],
  ])('are not taken over plain %s: nobody sends them there', (_name, connection) => {
    const api = new TestApi()
    const bench = new TestBench({}, { httpProxy: api })
    expect(send(bench, connection)).toBe('invalid')
    expect(connection.closed).toBe(true)
    expect(connection.received).toEqual([])
    expect(api.asked).toEqual([])
    expect(bench.server.counters.drops.unexpected).toBe(1)
  })

  it('are answered at once where there is no API, or nothing that may be asked', () => {
    const without = new EncryptedConnection(FROM)
    send(new TestBench(), without)
    const bench = new TestBench({}, { httpProxy: new TestApi() })
    const elsewhere = new EncryptedConnection(FROM)
    send(bench, elsewhere, { method: 'GET', path: '/metrics' })
    for (const { received, closed } of [without, elsewhere]) {
      expect(received).toMatchObject([{ httpProxyResponse: { error: expect.stringMatching(/./) } }])
      expect(closed).toBe(true)
    }
    expect(bench.server.counters.proxied.refused).toBe(1)
  })

  it('are told when the API does not answer, and so is the operator', async () => {
    const api = new TestApi()
    const bench = new TestBench({}, { httpProxy: api })
    const connection = new EncryptedConnection(FROM)
    send(bench, connection)
    await api.fail()
    expect(connection.received).toMatchObject([{ httpProxyResponse: { error: 'The API does not answer' } }])
    expect(connection.closed).toBe(true)
    expect(bench.events).toEqual(['unavailable api'])
    expect(bench.server.counters.proxied.unavailable).toBe(1)
  })

  it('come one to a connection', async () => {
    const api = new TestApi()
    const bench = new TestBench({}, { httpProxy: api })
    const connection = new EncryptedConnection(FROM)
    send(bench, connection)
    send(bench, connection)
    expect(connection.closed).toBe(true)
    expect(api.asked).toHaveLength(1)
  })

  it('have a bound for each source, and a place is free again when one is answered', async () => {
    const api = new TestApi()
    const bench = new TestBench({}, { httpProxy: api })
    for (let i = 0; i < 64; i++) send(bench, new EncryptedConnection(FROM))
    const refused = new EncryptedConnection(FROM)
    send(bench, refused)
    expect(refused.received).toMatchObject([{ httpProxyResponse: { error: 'busy' } }])
    send(bench, new EncryptedConnection({ ip: '192.0.2.8', port: 1 }))
    expect(api.asked).toHaveLength(65)
    await api.answer('{}')
    send(bench, new EncryptedConnection(FROM))
    expect(api.asked).toHaveLength(66)
  })
})
