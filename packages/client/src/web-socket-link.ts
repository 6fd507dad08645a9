import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { formatEndpoint } from '@tryst/protocol'
import { WebSocket } from 'ws'
import type { Clock } from './clock.ts'
import type { DialOptions } from './dialler.ts'
import { LinkError } from './link-error.ts'
import { resolveEndpoint } from './resolve-endpoint.ts'
import { SocketLink } from './socket-link.ts'
import { MAX_PAYLOAD_BYTES } from './stock-client.ts'
import { dialSocket } from './tcp-link.ts'

export class WebSocketLink extends SocketLink {
  readonly transport = 'websocket'

  constructor(
    private readonly webSocket: WebSocket,
    socket: Socket,
    clock: Clock,
  ) {
    super(socket, clock)
    webSocket.on('message', (data: Buffer) => this.inbox.put(data))
    webSocket.on('error', (error) => this.fail(error))
    webSocket.on('close', () => this.inbox.end())
  }

  send(payload: Uint8Array): boolean {
    if (this.webSocket.readyState !== WebSocket.OPEN) return true
    this.webSocket.send(payload, { binary: true }, () => undefined)
    return !this.socket.writableNeedDrain
  }

  protected override pauseReading(): void {
    this.webSocket.pause()
  }

  protected override resumeReading(): void {
    if (this.webSocket.isPaused) this.webSocket.resume()
  }
}

/**
 * Connects to `ws://` or `wss://` the way stock clients do: no extension, no sub-protocol, no origin.
 *
 * @throws LinkError when there is no connection or no upgrade
 */
export async function dialWebSocket(url: string, options: DialOptions): Promise<WebSocketLink> {
  const { hostname, port, protocol } = new URL(url)
  const isSecure = protocol === 'wss:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const target = await resolveEndpoint({ host, port: Number(port) || (isSecure ? 443 : 80) })
  const startedMs = options.clock.now()
  const tcp = await dialSocket(target, options)
  const socket = isSecure ? connectTls({ socket: tcp, servername: host }) : tcp
  return new Promise((resolve, reject) => {
    const webSocket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: MAX_PAYLOAD_BYTES,
      createConnection: () => socket,
    })
    const fail = (reason: 'refused' | 'timeout' | 'aborted', cause?: unknown) => {
      settle()
      webSocket.on('error', () => undefined).terminate()
      socket.destroy()
      reject(new LinkError(reason, formatEndpoint(target), { cause }))
    }
    const abort = () => fail('aborted')
    const leftMs = Math.max(0, options.limitMs - (options.clock.now() - startedMs))
    const cancel = options.clock.after(leftMs, () => fail('timeout'))
    const settle = () => {
      cancel()
      options.signal?.removeEventListener('abort', abort)
      webSocket.removeAllListeners()
    }
    options.signal?.addEventListener('abort', abort)
    webSocket.once('error', (error) => fail('refused', error))
    webSocket.once('open', () => {
      settle()
      resolve(new WebSocketLink(webSocket, socket, options.clock))
    })
  })
}
