import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Api, type ApiOptions, noAccounts } from '@tryst/api'
import type { ProxiedRequest } from '@tryst/rendezvous'
import { createLogger } from '@tryst/service'
import { ApiClient } from '../src/api-client.ts'

const OPTIONS: ApiOptions = {
  ...{ port: 0, bind: '127.0.0.1', version: '1', pathPrefix: '', trustedProxies: ['127.0.0.0/8'] },
  log: createLogger({ service: 'api', level: 'silent', format: 'json' }),
  ...{ connectionsPerSource: 100, connectionsTotal: 100, requestsPerMinute: 100, loginsPerMinute: 2 },
  describeServer: undefined,
  onConnectionLimit: () => undefined,
}

const JSON_TYPE = [{ name: 'content-type', value: 'application/json' }]

const post = (path: string, body: object, headers = JSON_TYPE): ProxiedRequest => ({
  ...{ method: 'POST', path, headers, body: Buffer.from(JSON.stringify(body)) },
})

let api: Api
let url: string
let client: ApiClient
beforeEach(async () => {
  api = await Api.start(OPTIONS, noAccounts)
  url = `http://127.0.0.1:${api.port}`
  client = new ApiClient(url)
})
afterEach(() => api.close())

describe('requests that come over the main port', () => {
  it.each([
    post('/api/heartbeat', { id: '271828182', uuid: 'x', ver: 1_004_090, modified_at: 0 }),
    post('/api/sysinfo', { id: '271828182', uuid: 'x', os: 'Linux' }),
    post('/api/ab/personal', {}, [...JSON_TYPE, { name: 'authorization', value: 'Bearer abc' }]),
    post('/api/nowhere', {}),
  ])('get the same answer as over HTTP: $path', async (request) => {
    const { path, headers, body } = request
    const direct = await fetch(`${url}${path}`, {
      ...{ method: 'POST', headers: headers.map(({ name, value }) => [name, value] as [string, string]) },
      body: Buffer.from(body),
    })
    const { status, headers: answered, body: text } = await client.ask(request, '192.0.2.7')
    expect({ status, text: Buffer.from(text).toString() }).toEqual({ status: direct.status, text: await direct.text() })
    expect(answered).toEqual([{ name: 'content-type', value: direct.headers.get('content-type') }])
  })

  it('hit the limit of the client that sent them', async () => {
    const login = post('/api/login', { username: 'ada' })
    const statuses = []
    for (const ip of ['192.0.2.7', '192.0.2.7', '192.0.2.7', '192.0.2.8']) {
      statuses.push((await client.ask(login, ip)).status)
    }
    expect(statuses).toEqual([403, 403, 429, 403])
  })
})
