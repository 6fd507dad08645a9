import {
  decodeRendezvous,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import type { Ending } from '../transcripts/inbox.ts'
import { TcpClient } from '../transcripts/tcp-client.ts'
import { WsClient } from '../transcripts/ws-client.ts'
import type { SitePorts } from './free-ports.ts'
import type { Site } from './site.ts'

const ANSWER_WITHIN_MS = 5_000

export interface RawConnectionOptions {
  /** Source address. */
  readonly from?: string
  /** Of the WebSocket upgrade. */
  readonly headers?: Readonly<Record<string, string>>
}

const WEB_SOCKET_PORTS: readonly (keyof SitePorts)[] = ['webSocket', 'relayWebSocket']

/** A connection to one of a site's ports, message by message: nothing is sent or answered unasked. */
export class RawConnection {
  private constructor(
    readonly client: TcpClient | WsClient,
    private readonly port: keyof SitePorts,
  ) {}

  /** Connects, and upgrades where it is a WebSocket port. */
  static async open(site: Site, port: keyof SitePorts, options: RawConnectionOptions = {}): Promise<RawConnection> {
    const { from = '127.0.0.1', headers = {} } = options
    const target = { ip: site.server.host, port: site.ports[port] }
    const client = WEB_SOCKET_PORTS.includes(port)
      ? new WsClient(from, target, '/', headers)
      : new TcpClient(from, target)
    await client.open()
    return site.guest(new RawConnection(client, port))
  }

  send(message: OutgoingRendezvousMessage): void {
    this.client.send(encodeRendezvous(message))
  }

  sendPayload(payload: Uint8Array): void {
    this.client.send(payload)
  }

  /** The next message of the server. @throws Error when none comes */
  async next(limitMs = ANSWER_WITHIN_MS): Promise<RendezvousMessage> {
    return decodeRendezvous(await this.nextPayload(limitMs))
  }

  async nextPayload(limitMs = ANSWER_WITHIN_MS): Promise<Uint8Array> {
    const payload = await this.client.takeMessage(limitMs)
    if (!payload)
      throw new Error(`nothing came on port ${this.port}: ${this.client.pending()?.slice(0, 200) ?? 'not a byte'}`)
    return payload
  }

  /** Sends one message and gives its answer. */
  ask(message: OutgoingRendezvousMessage): Promise<RendezvousMessage> {
    this.send(message)
    return this.next()
  }

  /** How the server ended the connection. @throws Error when it did not */
  async ended(limitMs = ANSWER_WITHIN_MS): Promise<Ending> {
    const ending = await this.client.ended(limitMs)
    if (!ending) throw new Error(`the connection to port ${this.port} is still open after ${limitMs} ms`)
    return ending
  }

  close(): void {
    this.client.close()
  }
}
