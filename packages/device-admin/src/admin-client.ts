import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import type { AccessMode, ListedDevice } from '@tryst/rendezvous'
import { ADMIN_PATHS, asAdministrationError } from './admin-protocol.ts'
import {
  type Administration,
  AdministrationError,
  type DeployRequest,
  type DeployResult,
  type DeviceRow,
  type Done,
  type TokenLimits,
  type TokenRow,
} from './administration.ts'

/** From a question to the beginning of its answer; the server gives up what it asks of its state long before. */
const ANSWER_WITHIN_MS = 10_000
const LONGEST_ANSWER_BYTES = 4 * 1024 * 1024
const NOBODY = ['ENOENT', 'ECONNREFUSED', 'ENOTSOCK']

/** Nobody listens at the socket. */
export class NoServerError extends Error {
  override readonly name = 'NoServerError'
}

/** What operators do with devices, by way of the ID server that runs. Rejects with NoServerError where none does. */
export class AdminClient implements Administration {
  /** @param socketPath at most some 100 bytes long, as the system has it */
  constructor(private readonly socketPath: string) {}

  /** Whether a server listens. Rejects with AdministrationError where one does that this user may not talk to. */
  async isServed(): Promise<boolean> {
    try {
      await this.tokens()
      return true
    } catch (error) {
      if (error instanceof NoServerError) return false
      if (error instanceof AdministrationError && error.code !== 'unavailable') return true
      throw error
    }
  }

  async *list(state?: DeviceRow['state']): AsyncGenerator<DeviceRow> {
    const answer = await this.#post('list', { state })
    for await (const line of createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY })) {
      const row = JSON.parse(line) as DeviceRow | { error: string }
      if ('error' in row) throw new AdministrationError('unavailable', row.error)
      yield row
    }
  }

  approve(id: string, fingerprint?: string): Promise<ListedDevice> {
    return this.#ask('approve', { id, fingerprint })
  }

  refuse(id: string, fingerprint?: string): Promise<ListedDevice> {
    return this.#ask('refuse', { id, fingerprint })
  }

  invite(id: string): Promise<{ readonly mode: AccessMode }> {
    return this.#ask('invite', { id })
  }

  remove(id: string): Promise<Done> {
    return this.#ask('remove', { id })
  }

  rename(id: string, to: string): Promise<Done> {
    return this.#ask('rename', { id, to })
  }

  async note(id: string, note: string): Promise<void> {
    await this.#ask('note', { id, note })
  }

  createToken(limits: TokenLimits): Promise<TokenRow & { readonly token: string }> {
    return this.#ask('createToken', limits)
  }

  tokens(): Promise<readonly TokenRow[]> {
    return this.#ask('tokens', {})
  }

  async revokeToken(name: string): Promise<void> {
    await this.#ask('revokeToken', { name })
  }

  async deploy(request: DeployRequest): Promise<DeployResult> {
    return (await this.#ask<{ result: DeployResult }>('deploy', request)).result
  }

  async close(): Promise<void> {}

  async #ask<Result>(method: keyof typeof ADMIN_PATHS, args: object): Promise<Result> {
    return (await bodyOf(await this.#post(method, args))) as Result
  }

  /** An answer that is none of success rejects. */
  async #post(method: keyof typeof ADMIN_PATHS, args: object): Promise<IncomingMessage> {
    const answer = await this.#send(ADMIN_PATHS[method], JSON.stringify(args))
    const { statusCode = 500 } = answer
    if (statusCode >= 400) throw asAdministrationError(await bodyOf(answer), statusCode)
    return answer
  }

  #send(path: string, body: string): Promise<IncomingMessage> {
    const { request } = process.getBuiltinModule('node:http')
    const { socketPath } = this
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath, path, method: 'POST', headers, agent: false, timeout: ANSWER_WITHIN_MS })
      sent.once('response', resolve)
      sent.once('timeout', () => sent.destroy(new Error('no answer')))
      sent.once('error', (error: NodeJS.ErrnoException) => reject(describe(error, socketPath)))
      sent.end(body)
    })
  }
}

function describe(error: NodeJS.ErrnoException, socketPath: string): Error {
  const { code = '', message } = error
  if (NOBODY.includes(code)) return new NoServerError(`nobody listens at ${socketPath}`, { cause: error })
  const text =
    code === 'EACCES' || code === 'EPERM'
      ? `${socketPath} is not for this user: run the command as the user of the ID server`
      : `the ID server at ${socketPath} does not answer (${message})`
  return new AdministrationError('unavailable', text, { cause: error })
}

async function bodyOf(answer: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of answer) {
    bytes += (part as Buffer).length
    if (bytes > LONGEST_ANSWER_BYTES) throw new AdministrationError('unavailable', 'the answer is too long')
    parts.push(part as Buffer)
  }
  const text = Buffer.concat(parts).toString()
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch (error) {
    throw new AdministrationError('unavailable', 'what listens there is no ID server', { cause: error })
  }
}
