import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { FrameDecoder } from '@tryst/protocol'
import type { UnreachableReason } from './errors.ts'
import { decodeWelcome, encodeGreeting, MAX_GREETING_BYTES, type Self } from './greeting.ts'
import { parseAddress } from './node-address.ts'
import type { LinkTarget, StreamOpening } from './node-questions.ts'
import { type ClientTlsOptions, isOtherKey, isProven } from './tls-psk.ts'

/** A connection of which nothing is heard is looked after by the kernel from then on. */
export const KEEP_ALIVE_MS = 10_000

export interface Dial {
  readonly target: LinkTarget
  /** Undefined: a link for questions. */
  readonly stream: StreamOpening | undefined
  readonly self: Self
  readonly tls: ClientTlsOptions
  readonly deadlineMs: number
}

/** `socket` has proved itself, is paused, and what is read from it next is what came behind the greeting. */
export interface Dialled {
  readonly socket: TLSSocket
  readonly welcome: Self
}

export class DialError extends Error {
  override readonly name = 'DialError'

  constructor(
    readonly reason: UnreachableReason | 'gone',
    cause?: unknown,
  ) {
    super(`could not connect: ${reason}`, { cause })
  }
}

/** Connects to another node. Rejects with DialError. */
export function dial({ target, stream, self, tls, deadlineMs }: Dial): Promise<Dialled> {
  const greeting = encodeGreeting(self, target.incarnation, stream)
  const place = parseAddress(target.address)
  if (!place) return Promise.reject(new DialError('connect-failed', new Error(`not host:port: ${target.address}`)))
  if (greeting.length > MAX_GREETING_BYTES) return Promise.reject(new DialError('too-large'))

  return new Promise((resolve, reject) => {
    // Node's declarations leave `allowHalfOpen` out.
    const options: ConnectionOptions & { allowHalfOpen: boolean } = { ...place, ...tls, allowHalfOpen: true }
    const socket = connect(options)
    const decoder = new FrameDecoder(MAX_GREETING_BYTES)
    const timer = setTimeout(() => fail(new DialError('deadline')), deadlineMs)

    function fail(error: DialError): void {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    const onBytes = (bytes: Buffer): void => {
      try {
        const rest = decoder.push(bytes, (frame) => {
          settle(frame)
          return false
        })
        if (rest && rest.length > 0 && !socket.destroyed) socket.unshift(rest)
      } catch (cause) {
        fail(new DialError('connect-failed', cause))
      }
    }
    function settle(frame: Uint8Array): void {
      const { reception, self: welcome } = decodeWelcome(frame)
      if (reception !== 'accepted') return fail(new DialError(reception ?? 'connect-failed'))
      clearTimeout(timer)
      socket.pause()
      socket.off('data', onBytes)
      socket.off('end', onEnd)
      socket.off('close', onClose)
      resolve({ socket, welcome })
    }
    const onEnd = (): void => fail(new DialError('connect-failed', new Error('closed without a word')))
    const onClose = (): void => fail(new DialError('connect-failed', new Error('closed without a word')))

    // Stays for good: 'close' follows and says all there is to say.
    socket.on('error', (cause) => fail(new DialError(isOtherKey(cause) ? 'other-key' : 'connect-failed', cause)))
    socket.on('end', onEnd)
    socket.on('close', onClose)
    socket.once('secureConnect', () => {
      if (!isProven(socket)) return fail(new DialError('other-key'))
      socket.setNoDelay(true)
      socket.setKeepAlive(true, KEEP_ALIVE_MS)
      socket.on('data', onBytes)
      socket.write(greeting)
    })
  })
}
