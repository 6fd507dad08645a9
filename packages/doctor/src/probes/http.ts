import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

export interface HttpAnswer {
  readonly status: number
  /** The server's clock minus ours; undefined: it does not tell. */
  readonly clockAheadMs: number | undefined
  readonly body: string
}

const MAX_BODY_BYTES = 256 * 1024

/** One GET, whoever the certificate is for. Undefined where nothing usable came back. */
export function getOverHttp(url: string, limitMs: number): Promise<HttpAnswer | undefined> {
  const startedMs = Date.now()
  return new Promise((resolve) => {
    const options = { signal: AbortSignal.timeout(limitMs), rejectUnauthorized: false, agent: false }
    const request = url.startsWith('https:') ? requestHttps(url, options) : requestHttp(url, options)
    request.on('error', () => resolve(undefined))
    request.on('response', (response) => {
      const middleMs = (startedMs + Date.now()) / 2
      const date = Date.parse(response.headers.date ?? '')
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_BODY_BYTES) request.destroy()
        else chunks.push(chunk)
      })
      response.on('error', () => resolve(undefined))
      response.on('close', () =>
        resolve({
          status: response.statusCode ?? 0,
          clockAheadMs: Number.isNaN(date) ? undefined : date - middleMs,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      )
    })
    request.end()
  })
}
