import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import { hostOf, type RelayChooser } from '@tryst/rendezvous'

const PROBE_EVERY_MS = 3_000
const PROBE_TIMEOUT_MS = 3_000

const portOf = (relay: string) => Number(relay.slice(relay.lastIndexOf(':') + 1))

/** Whether somebody accepts connections there; nothing is sent. @param relay `host:port` */
export function acceptsConnections(relay: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostOf(relay), port: portOf(relay), timeout: PROBE_TIMEOUT_MS })
    const settle = (accepts: boolean) => {
      socket.destroy()
      resolve(accepts)
    }
    socket.once('connect', () => settle(true))
    socket.once('timeout', () => settle(false))
    socket.once('error', () => settle(false))
  })
}

/** Which of these names can be resolved now, in the same order. */
export async function resolvable(relays: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    relays.map(async (relay) => {
      try {
        await lookup(hostOf(relay))
        return relay
      } catch {
        return undefined
      }
    }),
  )
  return found.filter((relay) => relay !== undefined)
}

/**
 * Keeps a relay list to those that are up: with more than one entry each is tried by a TCP connection every 3 s. The
 * live ones are offered in the order in which they answered; while none answers the last live list stays.
 */
export class RelayProbe {
  #timer: NodeJS.Timeout | undefined
  #running = false

  constructor(private readonly relays: RelayChooser) {}

  start(): void {
    this.#timer ??= setInterval(() => void this.#round(), PROBE_EVERY_MS)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #round(): Promise<void> {
    const { configured } = this.relays
    if (configured.length < 2 || this.#running) return
    this.#running = true
    const live: string[] = []
    await Promise.all(
      configured.map(async (relay) => {
        if (await acceptsConnections(relay)) live.push(relay)
      }),
    )
    this.#running = false
    // The list may have been replaced meanwhile; the chooser takes only what is in it.
    this.relays.setLive(live)
  }
}
