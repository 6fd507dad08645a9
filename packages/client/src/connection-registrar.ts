import { pause } from './clock.ts'
import { ENDED } from './inbox.ts'
import { judgeRegisterPk, type Registrar, type RegistrarHost, registerPk } from './registrar.ts'
import { isMessage, type Network, RendezvousLink } from './rendezvous-link.ts'
import { idServer } from './service-address.ts'
import { DEFAULT_KEEP_ALIVE_SECONDS, SILENT_INTERVALS } from './stock-client.ts'

/** Stock clients start the next connection this long after the start of the last. */
const RECONNECT_MS = 17_000
const REPEAT_MS = 15_000

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
    let keepAliveSeconds = DEFAULT_KEEP_ALIVE_SECONDS
    let isRegistered = false
    for (;;) {
      const limitMs = isRegistered ? keepAliveSeconds * 1_000 * SILENT_INTERVALS : REPEAT_MS
      const payload = await link.link.next(limitMs)
      if (payload === ENDED || this.#closing.signal.aborted) return
      if (payload === 'timeout') {
        if (isRegistered) return
        link.send(registerPk(this.host.identity))
        continue
      }
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
        isRegistered = true
        this.host.statusChanged('online')
      }
      this.host.answered(result)
    }
  }
}
