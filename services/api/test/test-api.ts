import { createLogger } from '@tryst/service'
import { Api, type ApiOptions } from '../src/api.ts'
import { noAccounts } from '../src/no-accounts.ts'
import type { ApiPorts } from '../src/ports.ts'

export interface TestApi {
  readonly api: Api
  readonly url: string
  /** Lines of the log. */
  readonly log: string[]
  /** What a stock client sends: JSON is announced even where nothing is sent. */
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  get(path: string, headers?: Record<string, string>): Promise<Response>
}

/** An API on a port of loopback. */
export async function startApi(options: Partial<ApiOptions> = {}, ports: Partial<ApiPorts> = {}): Promise<TestApi> {
  const log: string[] = []
  const api = await Api.start(
    {
      ...{ port: 0, bind: '127.0.0.1', version: '1.2.3', pathPrefix: '', trustedProxies: [] },
      log: createLogger({
        service: 'api',
        level: 'debug',
        format: 'json',
        destination: { write: (line) => log.push(line) },
      }),
      ...{ connectionsPerSource: 1_000, connectionsTotal: 1_000, requestsPerMinute: 10_000, loginsPerMinute: 10_000 },
      describeServer: async (asked) => ({ host: asked, idPort: 21_116, key: 'KEY=', apiUrl: undefined }),
      onConnectionLimit: () => undefined,
      ...options,
    },
    { ...noAccounts, ...ports },
  )
  const url = `http://127.0.0.1:${api.port}`
  const json = { 'content-type': 'application/json' }
  return {
    ...{ api, url, log },
    post: (path, body, headers = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { ...json, ...headers },
        body: typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body),
      }),
    get: (path, headers = {}) => fetch(`${url}${path}`, { headers }),
  }
}

/** What clients look at. */
export async function seen(response: Response) {
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}
