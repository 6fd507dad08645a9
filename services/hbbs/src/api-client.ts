import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { HttpProxy, ProxiedAnswer, ProxiedRequest } from '@tryst/rendezvous'

/** Clients give up after 18 s. */
const ANSWER_MS = 15_000
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export interface ApiClientOptions {
  readonly answerMs?: number
  readonly maxAnswerBytes?: number
}

/** The API at a URL, for requests that came over connections to this server. */
export class ApiClient implements HttpProxy {
  readonly #answerMs: number
  readonly #maxAnswerBytes: number

  /** @param url without a `/` at its end */
  constructor(
    private readonly url: string,
    { answerMs = ANSWER_MS, maxAnswerBytes = MAX_ANSWER_BYTES }: ApiClientOptions = {},
  ) {
    this.#answerMs = answerMs
    this.#maxAnswerBytes = maxAnswerBytes
  }

  async ask({ method, path, headers, body }: ProxiedRequest, clientIp: string): Promise<ProxiedAnswer> {
    const answer = await this.#request(
      `${this.url}${path}`,
      {
        method,
        headers: {
          ...Object.fromEntries(headers.map(({ name, value }) => [name, value])),
          'content-length': body.length,
          'x-forwarded-for': clientIp,
        },
        signal: AbortSignal.timeout(this.#answerMs),
      },
      body,
    )
    const type = answer.headers['content-type']
    return {
      status: answer.statusCode ?? 0,
      headers: type === undefined ? [] : [{ name: 'content-type', value: type }],
      body: await this.#bodyOf(answer),
    }
  }

  #request(url: string, options: RequestOptions, body: Uint8Array): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request: ClientRequest = requesterFor(url)(url, options, resolve)
      request.on('error', reject)
      request.end(body)
    })
  }

  async #bodyOf(answer: IncomingMessage): Promise<Uint8Array> {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > this.#maxAnswerBytes) throw new Error(`the API answers with more than ${this.#maxAnswerBytes} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }
}

// An import of node:http reads all its exports, one of which loads Node's whole fetch: 13 MiB that nobody uses here.
const requesterFor = (url: string) =>
  url.startsWith('https:')
    ? process.getBuiltinModule('node:https').request
    : process.getBuiltinModule('node:http').request
