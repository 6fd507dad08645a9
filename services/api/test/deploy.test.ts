import { afterEach, describe, expect, it } from '@jest/globals'
import type { Deployments } from '../src/ports.ts'
import { seen, startApi, type TestApi } from './test-api.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(deployments: Deployments, options: Parameters<typeof startApi>[0] = {}): Promise<TestApi> {
  const server = await startApi(options, { deployments })
  closing.push(() => server.api.close())
  return server
}

const request = { id: 'desk-01', uuid: 'dXVpZA==', pk: 'cGs=' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('a device that deploys itself', () => {
  it('is told the words that clients know', async () => {
    for (const result of ['OK', 'NOT_ENABLED', 'INVALID_INPUT', 'ID_TAKEN'] as const) {
      const server = await start({ deploy: async () => result })
      const answer = await seen(await server.post('/api/devices/deploy', request, bearer('t')))
      expect(answer).toEqual({ status: 200, type: JSON_TYPE, text: JSON.stringify({ result }) })
    }
  })

  it('hands over its token and what it is', async () => {
    const asked: unknown[] = []
    const server = await start({
      deploy: async (got) => {
        asked.push(got)
        return 'OK'
      },
    })
    await server.post('/api/devices/deploy', { ...request, more: 'x' }, bearer('tryst_abc'))
    await server.post('/api/devices/deploy', {})
    expect(asked).toEqual([
      { ...request, token: 'tryst_abc' },
      { token: '', id: '', uuid: '', pk: '' },
    ])
  })

  it('is refused without a token that counts, as everywhere else', async () => {
    const server = await start({ deploy: async () => 'bad-token' })
    const answer = await seen(await server.post('/api/devices/deploy', request, bearer('t')))
    expect(answer).toEqual({ status: 401, type: JSON_TYPE, text: '{"error":"Invalid token"}' })
  })

  it('is told to come again where the state is away, by a status upon which it does not ask the ID server', async () => {
    const server = await start({ deploy: async () => 'unavailable' })
    expect(await seen(await server.post('/api/devices/deploy', request, bearer('t')))).toMatchObject({ status: 429 })
  })

  it('may not try tokens without end', async () => {
    const server = await start({ deploy: async () => 'bad-token' }, { loginsPerMinute: 3 })
    const statuses: number[] = []
    for (let i = 0; i < 5; i++)
      statuses.push((await server.post('/api/devices/deploy', request, bearer(`${i}`))).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
  })

  it('may not send what no device sends', async () => {
    const server = await start({ deploy: async () => 'OK' })
    expect((await server.post('/api/devices/deploy', { ...request, id: 7 }, bearer('t'))).status).toBe(400)
    expect((await server.post('/api/devices/deploy', { ...request, pk: 'A'.repeat(200) }, bearer('t'))).status).toBe(
      400,
    )
  })
})
