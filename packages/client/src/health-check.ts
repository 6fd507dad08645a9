import { ENDED } from './inbox.ts'
import { isMessage, type Network, RendezvousLink } from './rendezvous-link.ts'
import { idServer } from './service-address.ts'
import { DEFAULT_KEEP_ALIVE_SECONDS, SILENT_INTERVALS } from './stock-client.ts'

/**
 * Tells the ID server that a session lives, by a connection that stays open as long, as signed-in controllers do where
 * the server asked for it (docs/protocol.md, health check). What goes wrong with it is of no consequence.
 */
export class HealthCheck {
  readonly #ended = new AbortController()
  readonly #running: Promise<void>

  constructor(network: Network, token: string) {
    this.#running = this.#run(network, token).catch(() => undefined)
  }

  /** The session is over. */
  close(): Promise<void> {
    this.#ended.abort()
    return this.#running
  }

  async #run(network: Network, token: string): Promise<void> {
    const { signal } = this.#ended
    const link = await RendezvousLink.open(network, idServer(network.server), { signal })
    try {
      await link.secure(network.server.key ?? '')
      link.send({ hc: { token } })
      await keepUp(link)
    } finally {
      await link.close()
    }
  }
}

/** Sends the server's empty messages back, until it falls silent or the link ends. */
async function keepUp(link: RendezvousLink): Promise<void> {
  let keepAliveSeconds = DEFAULT_KEEP_ALIVE_SECONDS
  for (;;) {
    const payload = await link.link.next(keepAliveSeconds * 1_000 * SILENT_INTERVALS)
    if (payload === ENDED || payload === 'timeout') return
    if (payload.length === 0) link.link.send(payload)
    else {
      const message = link.read(payload)
      if (message === ENDED) return
      const keepAlive = isMessage(message) ? message.registerPkResponse?.keepAlive : undefined
      if (keepAlive) keepAliveSeconds = keepAlive
    }
  }
}
