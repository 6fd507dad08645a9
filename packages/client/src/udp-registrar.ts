import { createSocket, type Socket } from 'node:dgram'
import { decodeRendezvous, type Endpoint, encodeRendezvous, type RendezvousMessage } from '@tryst/protocol'
import type { CancelTimer } from './clock.ts'
import { localAddressFor } from './local-address.ts'
import { judgeRegisterPk, type Registrar, type RegistrarHost, registerPeer, registerPk } from './registrar.ts'
import {
  keyUnconfirmed,
  nextTickAtMs,
  type RegistrationState,
  type RegistrationStep,
  registerPeerAnswered,
  registerPkAnswered,
  registrationTick,
  startRegistration,
} from './registration.ts'
import { type Network, openLink } from './rendezvous-link.ts'
import { resolveEndpoint } from './resolve-endpoint.ts'
import { idServer } from './service-address.ts'
import { REACHABILITY_LIMIT_MS } from './stock-client.ts'

/** Registration over UDP: one socket and at most one timer. */
export class UdpRegistrar implements Registrar {
  #state: RegistrationState
  #socket: Socket | undefined
  #server: Endpoint | undefined
  #cancelTick: CancelTimer | undefined
  #isClosed = false
  readonly #closing = new AbortController()

  constructor(
    private readonly network: Network,
    private readonly host: RegistrarHost,
    keyConfirmed: boolean,
  ) {
    this.#state = startRegistration(network.clock.now(), keyConfirmed)
  }

  get serverIp(): string | undefined {
    return this.#server?.ip
  }

  async start(): Promise<void> {
    await this.#testReachability()
    await this.#bind()
    if (this.#isClosed) return
    this.#state = startRegistration(this.network.clock.now(), this.#state.keyConfirmed)
    await this.#tick()
  }

  unconfirmKey(): void {
    this.#state = keyUnconfirmed(this.#state)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#closing.abort()
    this.#cancelTick?.()
    await this.#unbind()
  }

  /** Stock clients make an empty connection first, to learn which address family works. */
  async #testReachability(): Promise<void> {
    const { network } = this
    const options = { limitMs: REACHABILITY_LIMIT_MS, signal: this.#closing.signal }
    const link = await openLink({ ...network, transport: 'tcp' }, idServer(network.server), options).catch(
      () => undefined,
    )
    void link?.close()
  }

  async #bind(): Promise<void> {
    await this.#unbind()
    const server = await resolveEndpoint(idServer(this.network.server))
    if (this.#isClosed) return
    const socket = createSocket(server.ip.includes(':') ? 'udp6' : 'udp4')
    this.#server = server
    this.#socket = socket
    socket.on('message', (datagram) => this.#receive(datagram))
    // A refused datagram comes back as an error; the repeat of an unanswered message deals with it.
    socket.on('error', () => undefined)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      // Closed before it was bound: nobody calls back then.
      socket.once('close', resolve)
      const address = localAddressFor(server.ip.includes(':') ? 6 : 4, this.network.localAddress)
      socket.bind({ port: 0, address }, resolve)
    })
  }

  async #unbind(): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()))
  }

  async #tick(): Promise<void> {
    if (this.#isClosed) return
    const step = registrationTick(this.#state, this.network.clock.now())
    if (step.rebind) await this.#bind().catch(() => undefined)
    this.#apply(step)
  }

  #apply({ state, send }: RegistrationStep): void {
    if (this.#isClosed) return
    const before = this.#state.status
    this.#state = state
    if (send) this.#send(send)
    if (state.status !== before) this.host.statusChanged(state.status)
    this.#scheduleTick()
  }

  #scheduleTick(): void {
    const { clock } = this.network
    this.#cancelTick?.()
    if (this.#isClosed) return
    const nowMs = clock.now()
    this.#cancelTick = clock.after(nextTickAtMs(this.#state, nowMs) - nowMs, () => void this.#tick())
  }

  #send(what: 'registerPeer' | 'registerPk'): void {
    const { identity } = this.host
    const message = what === 'registerPk' ? registerPk(identity) : registerPeer(identity)
    if (this.#server) this.#socket?.send(encodeRendezvous(message), this.#server.port, this.#server.ip)
  }

  #receive(datagram: Uint8Array): void {
    let message: RendezvousMessage
    try {
      message = decodeRendezvous(datagram)
    } catch {
      return // Datagrams that are no message are dropped in silence.
    }
    const nowMs = this.network.clock.now()
    switch (message.union) {
      case 'registerPeerResponse':
        return this.#apply(registerPeerAnswered(this.#state, message.registerPeerResponse?.requestPk ?? false, nowMs))
      case 'registerPkResponse': {
        const result = message.registerPkResponse?.result ?? 0
        const judged = judgeRegisterPk(result)
        if (judged === 'uuidMismatch') this.host.drawNewId()
        this.#apply(registerPkAnswered(this.#state, judged, nowMs))
        return this.host.answered(result)
      }
      default:
        return this.host.pushed(message)
    }
  }
}
