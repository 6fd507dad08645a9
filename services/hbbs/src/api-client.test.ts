import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { afterEach, describe, expect, it } from '@jest/globals'
import { ApiClient, type ApiClientOptions } from './api-client.ts'

let server: Server | undefined

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function clientOf(listener: RequestListener, options?: ApiClientOptions): Promise<ApiClient> {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('the server does not listen')
  return new ApiClient(`http://127.0.0.1:${address.port}`, options)
}

const request = {
  method: 'POST',
  path: '/api/ab/peers?current=1',
  headers: [{ name: 'content-type', value: 'application/json' }],
  body: Buffer.from('{"a":1}'),
} as const

describe('the API, asked for clients', () => {
  it('gets the request with the address of the client', async () => {
    const asked: unknown[] = []
    const client = await clientOf(async (incoming, answer) => {
      const { method, url, headers } = incoming
      let body = ''
      for await (const chunk of incoming) body += chunk
      asked.push([method, url, headers['content-type'], headers['x-forwarded-for'], body])
      answer.writeHead(403, { 'content-type': 'application/json; charset=utf-8', 'x-other': 'x' }).end('{"error":"no"}')
    })
    const { status, headers, body } = await client.ask(request, '192.0.2.7')
    expect(asked).toEqual([['POST', request.path, 'application/json', '192.0.2.7', '{"a":1}']])
    expect(status).toBe(403)
    expect(headers).toEqual([{ name: 'content-type', value: 'application/json; charset=utf-8' }])
    expect(Buffer.from(body).toString()).toBe('{"error":"no"}')
  })

  it('is given up when it does not answer in time', async () => {
    const client = await clientOf(() => undefined, { answerMs: 50 })
    await expect(client.ask(request, '192.0.2.7')).rejects.toThrow(/aborted|timeout/)
  })

  it('is given up when it does not end its answer in time', async () => {
    const client = await clientOf((_incoming, answer) => void answer.write('{'), { answerMs: 50 })
    await expect(client.ask(request, '192.0.2.7')).rejects.toThrow(/aborted|timeout/)
  })

  it('is given up when it answers with more than anybody needs', async () => {
    const client = await clientOf((_incoming, answer) => void answer.end(Buffer.alloc(1_001)), {
      maxAnswerBytes: 1_000,
    })
    await expect(client.ask(request, '192.0.2.7')).rejects.toThrow('more than 1000 bytes')
  })

  it('is told to be away where nobody listens', async () => {
    const client = await clientOf(() => undefined)
    server?.close()
    await expect(client.ask(request, '192.0.2.7')).rejects.toThrow('ECONNREFUSED')
  })
})
