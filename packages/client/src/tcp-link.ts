import { connect, type Socket } from 'node:net'
import { type Endpoint, FrameDecoder, formatEndpoint, frameHeader } from '@tryst/protocol'
import type { Clock } from './clock.ts'
import type { DialOptions } from './dialler.ts'
import { LinkError } from './link-error.ts'
import { localAddressFor } from './local-address.ts'
import { SocketLink } from './socket-link.ts'
import { MAX_PAYLOAD_BYTES } from './stock-client.ts'

export class TcpLink extends SocketLink {
  readonly transport = 'tcp'
  readonly #decoder = new FrameDecoder(MAX_PAYLOAD_BYTES)

  constructor(socket: Socket, clock: Clock) {
    super(socket, clock)
    socket.on('data', (chunk: Uint8Array) => {
      try {
        this.#decoder.push(chunk, (payload) => {
          this.inbox.put(payload)
          return true
        })
      } catch (error) {
        this.fail(error as Error)
      }
    })
    socket.on('end', () => this.inbox.end())
  }

  send(payload: Uint8Array): boolean {
    const { socket } = this
    if (socket.destroyed || socket.writableEnded) return true
    socket.cork()
    socket.write(frameHeader(payload.length))
    const hasRoom = socket.write(payload)
    socket.uncork()
    return hasRoom
  }

  protected override pauseReading(): void {
    this.socket.pause()
  }

  protected override resumeReading(): void {
    this.socket.resume()
  }
}

/**
 * Connects to an address (not a name). The socket is always bound before it connects: Node sets SO_REUSEADDR then, and
 * only sockets that all have it may share a port, which hole punching needs.
 *
 * @throws LinkError when refused, out of time or aborted
 */
export async function dialTcp(target: Endpoint, options: DialOptions): Promise<TcpLink> {
  return new TcpLink(await dialSocket(target, options), options.clock)
}

export function dialSocket(target: Endpoint, options: DialOptions): Promise<Socket> {
  const { clock, limitMs, localPort, signal } = options
  const localAddress = localAddressFor(target.ip.includes(':') ? 6 : 4, options.localAddress)
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: target.ip,
      port: target.port,
      localAddress,
      ...(localPort === undefined ? {} : { localPort }),
      allowHalfOpen: true,
    })
    const settle = () => {
      cancel()
      signal?.removeEventListener('abort', abort)
      socket.off('error', onError)
      socket.off('connect', onConnect)
    }
    const fail = (reason: 'refused' | 'timeout' | 'aborted', cause?: unknown) => {
      settle()
      socket.on('error', () => undefined).destroy()
      reject(new LinkError(reason, formatEndpoint(target), { cause }))
    }
    const abort = () => fail('aborted')
    const onError = (error: Error) => fail('refused', error)
    const onConnect = () => {
      settle()
      resolve(socket)
    }
    const cancel = clock.after(limitMs, () => fail('timeout'))
    signal?.addEventListener('abort', abort)
    socket.on('error', onError)
    socket.on('connect', onConnect)
    if (signal?.aborted) abort()
  })
}
