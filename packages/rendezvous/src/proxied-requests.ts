import { encodeRendezvous, type rendezvous, sourcePrefix } from '@tryst/protocol'
import type { ClientConnection } from './connection.ts'
import type { Counters } from './counters.ts'
import type { RendezvousEvents } from './events.ts'
import type { HttpProxy, ProxiedAnswer } from './http-proxy.ts'
import { readProxiedRequest } from './proxied-request.ts'

/** Requests under way at once: of one source, which may be a company, and of all. */
const PER_SOURCE = 64
const TOTAL = 512

export interface ProxiedRequestsParts {
  /** Undefined: this server has no API. */
  readonly proxy: HttpProxy | undefined
  readonly pathPrefix: string
  readonly counters: Counters
  readonly events: RendezvousEvents
}

/**
 * Carries requests of clients to the API and the answers back, one for each connection. Every request is answered: a
 * client that hears nothing waits for 18 s.
 */
export class ProxiedRequests {
  readonly #asking = new Set<ClientConnection>()
  readonly #bySource = new Map<string, number>()

  constructor(private readonly parts: ProxiedRequestsParts) {}

  take(connection: ClientConnection, message: rendezvous.HttpProxyRequest): void {
    const { proxy, pathPrefix, counters, events } = this.parts
    if (this.#asking.has(connection)) return connection.close()
    if (!proxy) return this.#refuse(connection, 'refused', 'This server has no API')
    const request = readProxiedRequest(message, pathPrefix)
    if ('refusal' in request) return this.#refuse(connection, 'refused', request.refusal)
    const source = sourcePrefix(connection.remote.ip)
    const ofSource = this.#bySource.get(source) ?? 0
    if (this.#asking.size >= TOTAL || ofSource >= PER_SOURCE) return this.#refuse(connection, 'busy', 'busy')
    this.#asking.add(connection)
    this.#bySource.set(source, ofSource + 1)
    proxy
      .ask(request, connection.remote.ip)
      .then(
        (answer) => {
          counters.proxied.answered++
          send(connection, answer)
        },
        (error: unknown) => {
          events.unavailable('api', error)
          this.#refuse(connection, 'unavailable', 'The API does not answer')
        },
      )
      .finally(() => {
        this.#asking.delete(connection)
        this.#leave(source)
      })
  }

  #leave(source: string): void {
    const left = (this.#bySource.get(source) ?? 1) - 1
    if (left > 0) this.#bySource.set(source, left)
    else this.#bySource.delete(source)
  }

  #refuse(connection: ClientConnection, outcome: 'refused' | 'busy' | 'unavailable', error: string): void {
    this.parts.counters.proxied[outcome]++
    connection.send(encodeRendezvous({ httpProxyResponse: { error } }))
    connection.close()
  }
}

function send(connection: ClientConnection, { status, headers, body }: ProxiedAnswer): void {
  connection.send(encodeRendezvous({ httpProxyResponse: { status, headers: [...headers], body } }))
  connection.close()
}
