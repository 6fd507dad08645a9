import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import { hostOf, type RelayChooser } from '@tryst/rendezvous'

const PROBE_EVERY_MS = 3_000
const PROBE_TIMEOUT_MS = 3_000
/** How many rounds a lone relay whose name is not known waits for the next look-up. */
const ROUNDS_BETWEEN_LOOKUPS = 10

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

/** Those of the relays that accept connections, the quickest first. */
async function inOrderOfAnswers(relays: readonly string[]): Promise<string[]> {
  const live: string[] = []
  await Promise.all(
    relays.map(async (relay) => {
      if (await acceptsConnections(relay)) live.push(relay)
    }),
  )
  return live
}

/**
 * Keeps a relay list to those that are up: with more than one entry each is tried by a TCP connection every 3 s. The
 * live ones are offered in the order in which they answered; while none answers the last live list stays. A relay whose
 * name cannot be resolved is not offered until it can. Without a list announced relays are tried in the same way while
 * nobody can say whether they still renew what they announced.
 */
export class RelayProbe {
  #timer: NodeJS.Timeout | undefined
  #running = false
  #rounds = 0

  constructor(
    private readonly relays: RelayChooser,
    private readonly everyMs = PROBE_EVERY_MS,
  ) {}

  /** Begins with the names that can be resolved. @returns those that cannot */
  async start(): Promise<readonly string[]> {
    const { configured } = this.relays
    const found = await resolvable(configured)
    this.relays.configure(configured, found)
    this.#timer ??= setInterval(() => void this.#round(), this.everyMs)
    return configured.filter((relay) => !found.includes(relay))
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #round(): Promise<void> {
    if (this.#running) return
    this.#running = true
    // The list may be replaced meanwhile; the chooser takes only what is in it.
    this.relays.setLive(await this.#liveOf(this.relays.configured))
    this.relays.setReachable(await inOrderOfAnswers(this.relays.unconfirmed))
    this.#running = false
  }

  async #liveOf(configured: readonly string[]): Promise<string[]> {
    if (configured.length < 2) {
      const isMissing = configured.length === 1 && this.relays.live.length === 0
      return isMissing && this.#rounds++ % ROUNDS_BETWEEN_LOOKUPS === 0 ? resolvable(configured) : []
    }
    return inOrderOfAnswers(configured)
  }
}
