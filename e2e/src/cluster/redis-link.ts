import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** How a cut looks to whoever is behind it: nothing comes any more, or everything is refused. */
export type Cut = 'stalled' | 'reset'

/** The way from one node to Redis, which can be cut. */
export class RedisLink {
  readonly #sockets = new Set<Socket>()
  #cut: Cut | undefined

  private constructor(
    private readonly server: Server,
    private readonly redisPort: number,
  ) {
    server.on('connection', (socket) => this.#carry(socket))
  }

  static async open(redisPort: number): Promise<RedisLink> {
    const server = createServer({ allowHalfOpen: false }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new RedisLink(server, redisPort)
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}/0`
  }

  cut(how: Cut): void {
    this.#cut = how
    for (const socket of this.#sockets) {
      if (how === 'reset') socket.resetAndDestroy()
      else socket.pause()
    }
  }

  /** What was held back by a stall never arrives; new connections come through. */
  mend(): void {
    this.#cut = undefined
    for (const socket of this.#sockets) socket.destroy()
  }

  /** May be called twice. */
  close(): void {
    this.mend()
    this.server.close()
  }

  #carry(socket: Socket): void {
    this.#keep(socket)
    if (this.#cut === 'reset') socket.resetAndDestroy()
    if (this.#cut === 'stalled') socket.pause()
    if (this.#cut) return
    const redis = connect(this.redisPort, '127.0.0.1')
    this.#keep(redis)
    for (const [from, to] of [
      [socket, redis],
      [redis, socket],
    ] as const) {
      from.on('data', (chunk) => to.write(chunk))
      from.on('close', () => to.destroy())
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
