import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'

export interface SmallProxyOptions {
  /** Where `fullchain.pem` and `privkey.pem` are. */
  readonly certificates: string
  /** Port of loopback by path. */
  readonly paths: Readonly<Record<string, number>>
  /** Whether it says who its clients are. */
  readonly headers: 'X-Real-IP' | 'none'
  /** The address that it connects from. */
  readonly from?: string
}

/** A reverse proxy for WebSockets at `localhost`, as somebody might configure one: rightly or not. */
export class SmallProxy {
  readonly #sockets = new Set<Socket>()

  private constructor(
    private readonly server: Server,
    private readonly options: SmallProxyOptions,
  ) {
    server.on('upgrade', (request, socket, head) => this.#forward(request, socket, head))
    server.on('request', (_, response) => response.writeHead(404).end())
  }

  static async start(options: SmallProxyOptions): Promise<SmallProxy> {
    const read = (name: string) => readFileSync(join(options.certificates, name))
    const server = createServer({ cert: read('fullchain.pem'), key: read('privkey.pem') })
    const proxy = new SmallProxy(server, options)
    server.listen(0, 'localhost')
    await once(server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close')
    this.server.close()
    this.server.closeAllConnections()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #forward({ url = '', rawHeaders, socket: client }: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { paths, headers, from } = this.options
    const port = paths[url]
    if (port === undefined) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const onward = connect({ host: '127.0.0.1', port, ...(from === undefined ? {} : { localAddress: from }) })
    this.#sockets.add(onward)
    onward.on('close', () => {
      this.#sockets.delete(onward)
      socket.destroy()
    })
    for (const each of [socket, onward]) each.on('error', () => undefined)
    socket.on('close', () => onward.destroy())
    const lines = [`GET ${url} HTTP/1.1`]
    for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
    if (headers === 'X-Real-IP') lines.push(`X-Real-IP: ${client.remoteAddress}`)
    onward.write(`${lines.join('\r\n')}\r\n\r\n`)
    onward.write(head)
    socket.pipe(onward).pipe(socket)
  }
}
