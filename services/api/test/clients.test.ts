import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { seen, startApi, type TestApi } from './test-api.ts'

const JSON_TYPE = 'application/json; charset=utf-8'
const INVALID_TOKEN = { status: 401, type: JSON_TYPE, text: '{"error":"Invalid token"}' }

const device = { id: '271828182', uuid: 'MGI5ZjFjNmUtNGQzYS00ZjZlLThhNTctMWMyZDNlNGY1YTZi' }

let server: TestApi
beforeAll(async () => {
  server = await startApi()
})
afterAll(() => server.api.close())

describe('a device', () => {
  it.each([
    ['of today', { ...device, ver: 1_004_090, conns: [1412, 1413], modified_at: 1_790_000_000 }],
    ['of 1.2.0', { id: '271828182', ver: 1_002_000, modified_at: 0 }],
    ['of tomorrow', { ...device, ver: 1_005_000, modified_at: 0, something: { new: true } }],
  ])('%s is told nothing in answer to its heartbeat, as an object', async (_name, heartbeat) => {
    expect(await seen(await server.post('/api/heartbeat', heartbeat))).toEqual({
      ...{ status: 200, type: JSON_TYPE, text: '{}' },
    })
  })

  it('is told that its inventory has arrived: anything else makes it send it again', async () => {
    const inventory = { ...device, version: '1.4.9', cpu: 'x', memory: '31.9GB', os: 'ubuntu / Linux', hostname: 'lab' }
    expect(await seen(await server.post('/api/sysinfo', inventory))).toEqual({
      ...{ status: 200, type: 'text/plain; charset=utf-8', text: 'SYSINFO_UPDATED' },
    })
  })

  it('gets a version of inventories that never changes', async () => {
    const versions = [await server.post('/api/sysinfo_ver'), await server.post('/api/sysinfo_ver')].map(seen)
    const [first, second] = await Promise.all(versions)
    expect(first).toMatchObject({ status: 200, text: expect.stringMatching(/^\w+$/) })
    expect(second).toEqual(first)
  })

  it.each([
    ['conn', { ...device, action: 'new', ip: '203.0.113.9', conn_id: 1412, session_id: 0, nonce: 'x' }],
    ['conn', `{"id":"1","uuid":"x","conn_id":1,"session_id":18446744073709551615,"peer":["2","Ada"],"type":0}`],
    ['conn', { id: '271828182', session_id: 5, note: 'replaced toner driver' }],
    ['file', { ...device, peer_id: '3', type: 0, path: 'C:\\x', is_file: true, info: '{"files":[]}' }],
    ['alarm', { ...device, typ: 1, info: '{"ip":"192.0.2.1"}' }],
  ])(
    'is told with an empty body that what it noted (%s) is safe: any text makes it send it again',
    async (kind, record) => {
      const answer = await server.post(`/api/audit/${kind}`, record)
      expect(answer.headers.get('content-length')).toBe('0')
      expect(await seen(answer)).toEqual({ status: 200, type: null, text: '' })
    },
  )

  it('learns that it need not be deployed, and that it need not ask to switch sides', async () => {
    const deployed = await server.post('/api/devices/deploy', { ...device, pk: 'AAAA' }, { authorization: 'Bearer t' })
    expect(await deployed.json()).toEqual({ result: 'NOT_ENABLED' })
    const grant = { id: '1', switch_code_verifier: 'x', timestamp: '1790000000', signature: 'y' }
    expect(await (await server.post('/api/switch-grant', grant)).json()).toEqual({ accepted: false })
  })
})

describe('a person at a client', () => {
  it('finds no other ways to log in', async () => {
    expect(await seen(await server.get('/api/login-options'))).toEqual({ status: 200, type: JSON_TYPE, text: '[]' })
    const head = await fetch(`${server.url}/api/login-options`, { method: 'HEAD' })
    expect(head.status).toBe(200)
  })

  it('is told in words that there is nothing to log in to', async () => {
    const login = { username: 'ada', password: 'secret', ...device, autoLogin: true, type: 'account', deviceInfo: {} }
    const { status, text } = await seen(await server.post('/api/login', login))
    expect(status).toBe(403)
    expect(JSON.parse(text)).toEqual({ error: expect.stringContaining('no accounts') })
    expect(server.log.join('')).not.toContain('secret')
  })

  it('is told so, too, through somebody else', async () => {
    const begun = await server.post('/api/oidc/auth', { op: 'google', ...device })
    expect(await begun.json()).toEqual({ error: expect.any(String) })
    const query = await server.get(`/api/oidc/auth-query?code=x&id=1&uuid=2`)
    // This text alone would make the client go on asking.
    expect(await query.text()).not.toContain('No authed oidc is found')
  })

  it('can log out', async () => {
    for (const body of [undefined, device]) {
      expect(await seen(await server.post('/api/logout', body, { authorization: 'Bearer x' }))).toMatchObject({
        ...{ status: 200, text: '' },
      })
    }
  })

  it.each([
    ['POST', '/api/currentUser'],
    ['GET', '/api/ab'],
    ['POST', '/api/ab'],
    ['POST', '/api/ab/get'],
    ['POST', '/api/ab/personal'],
    ['GET', '/api/ab/personal'],
    ['POST', '/api/ab/settings'],
    ['POST', '/api/ab/shared/profiles?current=1&pageSize=100'],
    ['POST', '/api/ab/peers?current=1&pageSize=100&ab=x'],
    ['POST', '/api/ab/tags/0198a3c0-5f1e-7c11-9b7e-0d2f6a1b2c3d'],
    ['POST', '/api/ab/peer/add/x'],
    ['PUT', '/api/ab/peer/update/x'],
    ['DELETE', '/api/ab/peer/x'],
    ['POST', '/api/ab/tag/add/x'],
    ['PUT', '/api/ab/tag/rename/x'],
    ['PUT', '/api/ab/tag/update/x'],
    ['DELETE', '/api/ab/tag/x'],
    ['GET', '/api/device-group/accessible?current=1&pageSize=100'],
    ['GET', '/api/users?current=1&pageSize=100&accessible=&status=1'],
    ['GET', '/api/peers?current=1&pageSize=100&accessible=&status=1'],
    ['GET', '/api/audit/conn/active?id=1&session_id=2&conn_type=0'],
    ['PUT', '/api/audit'],
    ['POST', '/api/devices/cli'],
  ])('who has a token of another server is logged out by %s %s', async (method, path) => {
    for (const authorization of ['Bearer abc', 'Bearer ', undefined]) {
      const headers = { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) }
      expect(await seen(await fetch(`${server.url}${path}`, { method, headers }))).toEqual(INVALID_TOKEN)
    }
  })
})

const vectors = resolve(
  process.env.VECTORS_DIR ?? join(import.meta.dirname, '../../../../shared/vectors'),
  'real-clients.json',
)
const [describeRecorded, recorded] = existsSync(vectors)
  ? [describe, 'recorded clients']
  : [describe.skip, `recorded clients (skipped: no recordings in ${vectors}, see VECTORS_DIR)`]

const SATISFYING: Readonly<Record<string, string>> = {
  '/api/heartbeat': '{}',
  '/api/sysinfo': 'SYSINFO_UPDATED',
  '/api/audit/conn': '',
}

interface Recording {
  readonly events: readonly { readonly decoded?: { readonly http_proxy_request?: RecordedRequest } }[]
}
interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly headers: readonly { readonly name: string; readonly value: string }[]
  readonly body: string
}

describeRecorded(recorded, () => {
  it('get an answer that satisfies them to everything that they asked', async () => {
    const { recordings }: { recordings: readonly Recording[] } = JSON.parse(readFileSync(vectors, 'utf8'))
    const requests = recordings.flatMap(({ events }) =>
      events.flatMap(({ decoded }) => decoded?.http_proxy_request ?? []),
    )
    expect(new Set(requests.map(({ path }) => path))).toEqual(new Set(Object.keys(SATISFYING)))
    for (const { method, path, headers, body } of requests) {
      const answer = await fetch(`${server.url}${path}`, {
        ...{ method, headers: headers.map(({ name, value }) => [name, value] as [string, string]) },
        body: Buffer.from(body, 'hex'),
      })
      expect({ path, text: await answer.text() }).toEqual({ path, text: SATISFYING[path] })
    }
  })
})
