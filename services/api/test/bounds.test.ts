import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { ApiOptions } from '../src/api.ts'
import type { ApiPorts } from '../src/ports.ts'
import { seen, startApi, type TestApi } from './test-api.ts'

const running: TestApi[] = []
const sockets: Socket[] = []

async function start(options?: Partial<ApiOptions>, ports?: Partial<ApiPorts>): Promise<TestApi> {
  const api = await startApi(options, ports)
  running.push(api)
  return api
}

async function open({ api }: TestApi): Promise<Socket> {
  const socket = connect(api.port, '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  // Otherwise its end goes unnoticed.
  socket.resume()
  return socket
}

/** Everything that is received until the other side ends the connection. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close')
  return text
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(running.splice(0).map(({ api }) => api.close()))
})

const heartbeat = { id: '271828182' }

describe('errors', () => {
  it.each([
    ['/api/nowhere', 404, 'Not found'],
    ['/api/%zz', 400, expect.stringContaining('%zz')],
  ])('at %s have the form that clients read', async (path, status, error) => {
    const server = await start()
    const answer = await server.post(path, {})
    expect(answer.status).toBe(status)
    expect(await answer.json()).toEqual({ error })
  })

  it.each([
    ['what is no JSON', '{"id":'],
    ['a wrong type', { id: 5 }],
    ['a list for an object', []],
    ['what is missing', {}],
    ['a name that poisons objects', '{"id":"1","__proto__":{"x":1}}'],
    ['a text without end', { id: 'x'.repeat(254) }],
    ['no end of connections', { id: '1', conns: Array(10_001).fill(1) }],
  ])('name %s in one sentence, and are never 5xx', async (_name, body) => {
    const server = await start()
    const answer = await server.post('/api/heartbeat', body)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toEqual({ error: expect.stringMatching(/^.{10,200}$/) })
  })

  it('are 4xx for bodies that are too large or of another kind', async () => {
    const server = await start()
    expect((await server.post('/api/heartbeat', { id: 'x'.repeat(70_000) })).status).toBe(413)
    expect((await server.post('/api/heartbeat', '<x/>', { 'content-type': 'text/xml' })).status).toBe(415)
  })

  it('of ours are told without their cause, which is logged', async () => {
    const server = await start({}, { audit: { add: () => Promise.reject(new Error('the disk is full')) } })
    const answer = await server.post('/api/audit/conn', heartbeat)
    expect(await seen(answer)).toMatchObject({ status: 500, text: '{"error":"Internal error"}' })
    expect(server.log.join('')).toContain('the disk is full')
  })
})

describe('limits', () => {
  it('end with 429, which does not make clients ask elsewhere', async () => {
    const server = await start({ requestsPerMinute: 3 })
    const answers = []
    for (let i = 0; i < 5; i++) answers.push(await server.post('/api/heartbeat', heartbeat))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429])
    expect(await answers[4]?.json()).toEqual({ error: expect.stringContaining('Too many requests') })
    expect(server.api.counters.answers).toMatchObject({ done: 3, limited: 2 })
  })

  it('are lower for logins, which leave the rest alone', async () => {
    const server = await start({ loginsPerMinute: 2 })
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await server.post('/api/login', { username: 'a' })).status)
    expect(statuses).toEqual([403, 403, 429])
    expect((await server.post('/api/oidc/auth', {})).status).toBe(429)
    expect((await server.post('/api/heartbeat', heartbeat)).status).toBe(200)
  })

  it('count for the client that a trusted proxy names, and for nobody that a stranger names', async () => {
    for (const [trustedProxies, expected] of [
      [['127.0.0.0/8'], [200, 200, 200, 429, 429]],
      [[], [200, 429, 429, 429, 429]],
    ] as const) {
      const server = await start({ requestsPerMinute: 1, trustedProxies })
      const statuses = []
      for (const from of ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2', '203.0.113.9, 192.0.2.1']) {
        statuses.push((await server.post('/api/heartbeat', heartbeat, { 'x-forwarded-for': from })).status)
      }
      expect(statuses).toEqual(expected)
    }
  })

  it('hold for paths that lead nowhere', async () => {
    const server = await start({ requestsPerMinute: 1 })
    expect((await server.get('/x')).status).toBe(404)
    expect((await server.get('/x')).status).toBe(429)
  })

  it('of connections let those go first that have asked nothing', async () => {
    const limits: string[] = []
    const server = await start({ connectionsPerSource: 2, onConnectionLimit: (limit) => limits.push(limit) })
    const silent = await open(server)
    const asking = await open(server)
    asking.write('GET /api/login-options HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(asking, 'data')
    const third = await open(server)
    await once(silent, 'close')
    expect(limits).toEqual(['connections_per_source'])
    third.write('GET /api/login-options HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(third, 'data')
    const refused = await open(server)
    await untilClosed(refused)
    expect([asking.destroyed, third.destroyed]).toEqual([false, false])
    expect(server.api.connections).toBe(2)
  })
})

describe('slow requests', () => {
  it.each([
    ['say nothing', ''],
    ['never end their head', 'POST /api/heartbeat HTTP/1.1\r\nHost: x\r\nX: '],
    [
      'never end their body',
      'POST /api/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    ],
  ])('that %s are ended', async (_name, bytes) => {
    const server = await start({ requestMs: 100 })
    const socket = await open(server)
    socket.write(bytes)
    const answer = await untilClosed(socket)
    expect(answer === '' || answer.startsWith('HTTP/1.1 408')).toBe(true)
  })

  it('with an endless head are refused', async () => {
    const server = await start()
    const socket = await open(server)
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(9_000)}\r\n\r\n`)
    expect(await untilClosed(socket)).toMatch(/^HTTP\/1.1 431/)
  })
})

describe('closing', () => {
  it('answers what has begun, ends idle connections, and may be done twice', async () => {
    const begun = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const server = await start(
      {},
      {
        audit: {
          add: async () => {
            begun.resolve()
            await goOn.promise
          },
        },
      },
    )
    const idle = await open(server)
    const idleEnd = once(idle, 'close')
    const answer = server.post('/api/audit/conn', heartbeat)
    await begun.promise
    const closed = Promise.all([server.api.close(), server.api.close()])
    await idleEnd
    goOn.resolve()
    expect((await answer).status).toBe(200)
    await closed
    await expect(fetch(server.url)).rejects.toThrow()
  })
})

describe('a path in front of all others', () => {
  it('is understood, and may be left out', async () => {
    const server = await start({ pathPrefix: '/x' })
    for (const path of ['/x/api/heartbeat', '/api/heartbeat']) {
      expect((await server.post(path, heartbeat)).status).toBe(200)
    }
    expect((await server.get('/x')).headers.get('content-type')).toMatch('text/html')
    expect((await server.get('/xapi/heartbeat')).status).toBe(404)
  })
})
