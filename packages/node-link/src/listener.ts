import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { FrameDecoder, normaliseIp, sourcePrefix } from '@tryst/protocol'
import { KEEP_ALIVE_MS } from './dial.ts'
import type { Refusal } from './events.ts'
import type { link } from './generated/link.js'
import { decideRefusal, decodeGreeting, encodeWelcome, MAX_GREETING_BYTES, type Self } from './greeting.ts'
import { parseIdentity, printable } from './link-key.ts'
import { formatAddress } from './node-address.ts'
import { isOtherKey, isProven, type LinkKey, serverTlsOptions } from './tls-psk.ts'
import { Unproven } from './unproven.ts'

export interface ListenerLimits {
  /** Connections that may be proving themselves at the same time. */
  readonly maxUnproven: number
  readonly maxUnprovenOfSource: number
  /** How long a connection may take from its first packet to the end of its greeting. */
  readonly proofDeadlineMs: number
}

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly key: LinkKey
  readonly self: Self
  readonly limits: ListenerLimits
  /** A proven node whose greeting is in order; it has not been answered yet. The socket is paused. */
  readonly onNode: (socket: TLSSocket, greeting: link.Greeting) => void
  readonly onRefused: (source: string, reason: Refusal, claims: string | undefined) => void
  /** An error of the listener while it runs. */
  readonly onError: (error: Error) => void
}

/** Where other nodes connect. Whoever does not prove within a moment to have the key costs a socket until then. */
export class Listener {
  readonly #server: Server
  readonly #tls: TlsServer
  readonly #options: ListenerOptions
  readonly #unproven: Unproven
  /** Connections on probation, by their remote address and port. */
  readonly #probations = new Map<string, Probation>()
  /** Connections that said whose key they have, until they are refused for it. */
  readonly #named = new WeakSet<TLSSocket>()

  private constructor(options: ListenerOptions) {
    this.#options = options
    this.#unproven = new Unproven(options.limits.maxUnproven, options.limits.maxUnprovenOfSource)
    const handshakeTimeout = options.limits.proofDeadlineMs
    this.#tls = createTlsServer(
      { ...serverTlsOptions, handshakeTimeout, pskCallback: (socket, identity) => this.#findKey(socket, identity) },
      (socket) => this.#greet(socket),
    )
    this.#tls.on('tlsClientError', (error, socket) => this.#fail(socket, error))
    this.#server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    })
    this.#server.on('connection', (socket) => this.#accept(socket))
  }

  /** @throws the listen error of Node */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    listener.#server.listen({ host: options.host, port: options.port })
    await once(listener.#server, 'listening')
    listener.#server.on('error', options.onError)
    return listener
  }

  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo
    return formatAddress(address, port)
  }

  /** Frees the port and turns away who has not proved himself; proven connections stay. May be called twice. */
  close(): void {
    this.#server.close()
    for (const { socket } of this.#probations.values()) socket.destroy()
  }

  #accept(socket: Socket): void {
    const { remoteAddress } = socket
    if (remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const source = sourcePrefix(normaliseIp(remoteAddress))
    if (!this.#unproven.admit(source)) {
      this.#options.onRefused(normaliseIp(remoteAddress), 'too-many', undefined)
      socket.resetAndDestroy()
      return
    }
    const place = placeOf(socket)
    const timer = setTimeout(() => {
      this.#options.onRefused(normaliseIp(remoteAddress), 'slow', undefined)
      socket.destroy()
    }, this.#options.limits.proofDeadlineMs)
    const end = (): void => {
      clearTimeout(timer)
      socket.off('close', end)
      this.#probations.delete(place)
      this.#unproven.release(source)
    }
    socket.on('error', ignoreReset)
    socket.on('close', end)
    this.#probations.set(place, { socket, end })
    this.#tls.emit('connection', socket)
  }

  #findKey(socket: TLSSocket, identity: string): Buffer | null {
    const { key, onRefused } = this.#options
    const claimed = parseIdentity(identity)
    if (claimed?.keyHint === key.hint) return key.psk
    this.#named.add(socket)
    if (claimed) onRefused(sourceOf(socket), 'other-key', `node ${claimed.name} with key ${claimed.keyHint}…`)
    else onRefused(sourceOf(socket), 'not-a-node', printable(identity))
    return null
  }

  /** Reads the greeting of a connection that has proved itself. */
  #greet(socket: TLSSocket): void {
    socket.on('error', ignoreReset)
    const decoder = new FrameDecoder(MAX_GREETING_BYTES)
    const onBytes = (bytes: Buffer): void => {
      let greeting: link.Greeting | undefined
      let rest: Uint8Array | undefined
      try {
        rest = decoder.push(bytes, (frame) => {
          greeting = decodeGreeting(frame)
          return false
        })
      } catch {
        this.#options.onRefused(sourceOf(socket), 'not-a-node', undefined)
        socket.destroy()
      }
      if (!greeting) return
      socket.pause()
      socket.off('data', onBytes)
      socket.off('end', onEnd)
      if (rest && rest.length > 0) socket.unshift(rest)
      this.#answer(socket, greeting)
    }
    const onEnd = () => socket.destroy()
    if (!isProven(socket)) {
      socket.destroy()
      return
    }
    socket.on('end', onEnd)
    socket.on('data', onBytes)
  }

  #answer(socket: TLSSocket, greeting: link.Greeting): void {
    const { self, onNode, onRefused } = this.#options
    const refusal = decideRefusal(greeting, self)
    if (refusal) {
      const claims = `node ${printable(greeting.name)}, link version ${greeting.major}.${greeting.minor} (${printable(greeting.program)})`
      onRefused(sourceOf(socket), refusal, claims)
      // Still on probation, so it cannot stay.
      socket.end(encodeWelcome(self, refusal))
      socket.resume()
      return
    }
    this.#probations.get(placeOf(socket))?.end()
    onNode(socket, greeting)
  }

  #fail(socket: TLSSocket, error: Error): void {
    const source = sourceOf(socket)
    // The probation's own timer says so.
    const isSlow = 'code' in error && error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT'
    if (!this.#named.has(socket) && !isSlow && source !== '') {
      // It knows our key's name and not the key.
      this.#options.onRefused(source, isOtherKey(error) ? 'other-key' : 'not-a-node', undefined)
    }
    socket.destroy()
  }
}

interface Probation {
  readonly socket: Socket
  /** It has proved itself, or is gone. */
  readonly end: () => void
}

const placeOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress}|${remotePort}`

/** 'close' follows and says all there is to say. */
const ignoreReset = () => undefined

const sourceOf = ({ remoteAddress }: Socket) => (remoteAddress === undefined ? '' : normaliseIp(remoteAddress))
