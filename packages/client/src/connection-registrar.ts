import { rendezvous } from '@tryst/protocol'
import { pause } from './clock.ts'
import { ENDED } from './inbox.ts'
import { judgeRegisterPk, type Registrar, type RegistrarHost, registerPk } from './registrar.ts'
import { isMessage, type Network, RendezvousLink } from './rendezvous-link.ts'
import { idServer } from './service-address.ts'
import { DEFAULT_KEEP_ALIVE_SECONDS, SILENT_INTERVALS } from './stock-client.ts'

/** Stock clients start the next connection this long after the start of the last. */
const RECONNECT_MS = 17_000
/** What was not answered with OK is sent again. */
const REPEAT_MS = 15_000
/** Where the operator has to admit the device. */
const NOT_DEPLOYED_FIRST_REPEAT_MS = 16_000
const NOT_DEPLOYED_REPEAT_MS = 30_000

const { NOT_DEPLOYED } = rendezvous.RegisterPkResponse.Result

/**
 * Registration over a connection that stays open, encrypted over TCP (docs/protocol.md, registration over a
 * connection). The server sends empty messages, which are echoed, and its pushes.
 */
export class ConnectionRegistrar implements Registrar {
  #link: RendezvousLink | undefined
  #loop: Promise<void> | undefined
  readonly #closing = new AbortController()

  constructor(
    private readonly network: Network,
    private readonly host: RegistrarHost,
  ) {}

  get serverIp(): string | undefined {
    return this.#link?.link.remote.ip
  }

  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#loop ??= this.#run(resolve).finally(resolve)
    })
  }

  /** A key is sent with every registration anyway. */
  unconfirmKey(): void {
    this.#link?.send(registerPk(this.host.identity))
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#link?.close()
    await this.#loop
  }

  async #run(sent: () => void): Promise<void> {
    const { clock, server } = this.network
    const { signal } = this.#closing
    while (!signal.aborted) {
      const startedAtMs = clock.now()
      const link = await RendezvousLink.open(this.network, idServer(server), { signal }).catch(() => undefined)
      const isSecured = await link?.secure(server.key ?? '').then(
        () => true,
        (error: Error) => this.host.insecure(error),
      )
      if (link && isSecured && !signal.aborted) {
        this.#link = link
        link.send(registerPk(this.host.identity))
        sent()
        await this.#serve(link)
      }
      await link?.close()
      this.#link = undefined
      if (signal.aborted) return
      this.host.statusChanged('connecting')
      await pause(clock, startedAtMs + RECONNECT_MS - clock.now(), signal)
    }
  }

  async #serve(link: RendezvousLink): Promise<void> {
    const { clock } = this.network
    let keepAliveSeconds = DEFAULT_KEEP_ALIVE_SECONDS
    let heardAtMs = clock.now()
    let repeatAtMs = heardAtMs + REPEAT_MS
    let timesNotDeployed = 0
    for (;;) {
      const silentAtMs = heardAtMs + keepAliveSeconds * 1_000 * SILENT_INTERVALS
      const payload = await link.link.next(Math.max(0, Math.min(silentAtMs, repeatAtMs) - clock.now()))
      if (payload === ENDED || this.#closing.signal.aborted) return
      const nowMs = clock.now()
      if (payload === 'timeout') {
        if (nowMs < repeatAtMs) return
        link.send(registerPk(this.host.identity))
        repeatAtMs = nowMs + REPEAT_MS
        continue
      }
      heardAtMs = nowMs
      if (payload.length === 0) {
        link.link.send(payload)
        continue
      }
      const message = link.read(payload)
      // What does not parse ends the connection on the client's side.
      if (!isMessage(message)) return
      const response = message.registerPkResponse
      if (!response) {
        this.host.pushed(message)
        continue
      }
      const result = response.result ?? 0
      const judged = judgeRegisterPk(result)
      if (response.keepAlive) keepAliveSeconds = response.keepAlive
      if (judged === 'uuidMismatch') {
        this.host.drawNewId()
        link.send(registerPk(this.host.identity))
      } else if (judged === 'ok') {
        repeatAtMs = Number.POSITIVE_INFINITY
        this.host.statusChanged('online')
      } else if (result === NOT_DEPLOYED) {
        repeatAtMs = nowMs + (timesNotDeployed++ === 0 ? NOT_DEPLOYED_FIRST_REPEAT_MS : NOT_DEPLOYED_REPEAT_MS)
      }
      this.host.answered(result)
    }
  }
}
