import { createSocket, type RemoteInfo } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { decodeRendezvous, encodeFrame, FrameDecoder } from '@tryst/protocol'
import { type BoxKeyPair, type RecordLayer, readKeyExchangeAnswer } from '@tryst/protocol/secure-tcp'
import { WebSocket, WebSocketServer } from 'ws'

/** Something that the client under test did, as its servers saw it. */
export interface Observed {
  readonly atMs: number
  readonly label: string
  readonly kind: 'open' | 'message'
  readonly hex?: string
}

/** A connection of the client under test, at its server's end. */
export interface Peer {
  readonly label: string
  readonly clientPort: number
  /** Lines of the upgrade, for a WebSocket. */
  readonly head: readonly string[]
  send(payload: Uint8Array): void
  /** Sends the payload as it is, whatever was agreed on: an offer of encryption whose answer is read from here on. */
  offer(payload: Uint8Array, pair: BoxKeyPair): void
  end(): void
}

/** Where a server of the recording listens here. */
export type ServerRole = 'hbbs' | 'hbbs-nat' | 'hbbr' | 'out'

/**
 * The servers of a recording on one loopback address: whoever connects is observed, and answered by whoever plays the
 * script. All sockets end with `close()`.
 */
export class StandIn {
  readonly observed: Observed[] = []
  readonly peers = new Map<string, Peer>()
  /** Connections with these labels are refused, as far as that can be done after having seen them. */
  readonly refused = new Set<string>()
  readonly #counts = new Map<string, number>()
  readonly #sockets = new Set<Socket>()
  readonly #closers: (() => Promise<void>)[] = []
  readonly #waiting = new Set<() => void>()
  #udpClient: RemoteInfo | undefined
  #sendUdp: ((payload: Uint8Array) => void) | undefined
  /** Answers datagrams that the script does not deal with; undefined: they are observed. */
  udpFilter: ((payload: Uint8Array, reply: (payload: Uint8Array) => void) => boolean) | undefined

  constructor(
    readonly ip: string,
    private readonly now: () => number,
  ) {}

  /** Takes ports that belong together: PORT - 1, PORT, the relay's and both WebSockets'. */
  async listen(): Promise<number> {
    for (;;) {
      const port = 20_000 + 2 * Math.floor(Math.random() * 12_000)
      try {
        await this.#listenTcp('hbbs-nat', port - 1)
        await this.#listenTcp('hbbs', port)
        await this.#listenTcp('hbbr', port + 1)
        await this.#listenWebSocket('hbbs', port + 2)
        await this.#listenWebSocket('hbbr', port + 3)
        await this.#bindUdp(port)
        return port
      } catch {
        await this.close()
      }
    }
  }

  /** A port of somebody else: the controller's, or the device's. */
  async listenFor(label: 'out', ip: string, port = 0): Promise<{ port: number; close(): Promise<void> }> {
    const server = await this.#listenTcp(label, port, ip)
    const address = server.address()
    return {
      port: typeof address === 'object' && address ? address.port : 0,
      close: () => new Promise((resolve) => server.close(() => resolve())),
    }
  }

  /** Takes over a connection that the stand-in opened itself. */
  adopt(label: string, socket: Socket): void {
    this.#take(label, socket)
  }

  sendUdp(payload: Uint8Array): void {
    if (!this.#udpClient) throw new Error('no datagram has come yet')
    this.#sendUdp?.(payload)
  }

  /** Resolves when `condition` holds; looked at whenever something was observed. */
  async until(condition: () => boolean, missing: () => string, limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs
    while (!condition()) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`waited in vain for ${missing()}`)
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          this.#waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, left)
        this.#waiting.add(done)
      })
    }
  }

  /** Has `until` look at its condition again. */
  wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(this.#closers.splice(0).map((close) => close()))
  }

  #observe(observed: Observed): void {
    this.observed.push(observed)
    this.wake()
  }

  #nextLabel(role: string): string {
    const count = (this.#counts.get(role) ?? 0) + 1
    this.#counts.set(role, count)
    return `${role}-${count}`
  }

  /** Counts connections anew: what came before was only preparation. */
  forget(): void {
    this.observed.length = 0
    this.#counts.clear()
    this.peers.clear()
  }

  async #listenTcp(role: ServerRole, port: number, ip = this.ip): Promise<Server> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const label = this.#nextLabel(role)
      this.#observe({ atMs: this.now(), label, kind: 'open' })
      if (this.refused.has(label)) socket.resetAndDestroy()
      else this.#take(label, socket)
    })
    await listening(server, port, ip)
    this.#closers.push(() => new Promise((resolve) => server.close(() => resolve())))
    return server
  }

  #take(label: string, socket: Socket): void {
    const decoder = new FrameDecoder(1 << 20)
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    let offered: BoxKeyPair | undefined
    let records: RecordLayer | undefined
    socket.on('data', (chunk: Uint8Array) => {
      decoder.push(chunk, (payload) => {
        const plain = records?.open(payload) ?? payload
        this.#observe({ atMs: this.now(), label, kind: 'message', hex: Buffer.from(plain).toString('hex') })
        const keys = !records && offered ? (decodeRendezvous(plain).keyExchange?.keys ?? []) : []
        if (offered && keys.length > 0) records = readKeyExchangeAnswer(keys, offered)
        return true
      })
    })
    this.peers.set(label, {
      label,
      clientPort: socket.remotePort ?? 0,
      head: [],
      send: (payload) => socket.write(encodeFrame(records?.seal(payload) ?? payload)),
      offer: (payload, pair) => {
        offered = pair
        socket.write(encodeFrame(payload))
      },
      end: () => socket.end(),
    })
    this.wake()
  }

  async #listenWebSocket(role: ServerRole, port: number): Promise<void> {
    const webSockets = new WebSocketServer({ host: this.ip, port })
    await new Promise((resolve, reject) => webSockets.once('listening', resolve).once('error', reject))
    webSockets.on('connection', (webSocket, request) => {
      const label = this.#nextLabel(role)
      this.#observe({ atMs: this.now(), label, kind: 'open' })
      webSocket.on('error', () => undefined)
      webSocket.on('message', (data: Buffer) =>
        this.#observe({ atMs: this.now(), label, kind: 'message', hex: data.toString('hex') }),
      )
      const { rawHeaders } = request
      const names = rawHeaders.filter((_, i) => i % 2 === 0)
      this.peers.set(label, {
        label,
        clientPort: request.socket.remotePort ?? 0,
        head: [`${request.method} ${request.url} HTTP/${request.httpVersion}`, ...names],
        send: (payload) => webSocket.send(payload, { binary: true }),
        offer: (payload) => webSocket.send(payload, { binary: true }),
        // Stock servers end a WebSocket by closing TCP.
        end: () => request.socket.end(),
      })
      this.wake()
    })
    this.#closers.push(async () => {
      for (const webSocket of webSockets.clients) if (webSocket.readyState !== WebSocket.CLOSED) webSocket.terminate()
      await new Promise<void>((resolve) => webSockets.close(() => resolve()))
    })
  }

  async #bindUdp(port: number): Promise<void> {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, this.ip, () => resolve())
    })
    socket.removeAllListeners('error')
    socket.on('error', () => undefined)
    this.#sendUdp = (payload) => {
      if (this.#udpClient) socket.send(payload, this.#udpClient.port, this.#udpClient.address)
    }
    socket.on('message', (datagram, from) => {
      this.#udpClient = from
      if (this.udpFilter?.(datagram, (payload) => socket.send(payload, from.port, from.address))) return
      this.#observe({ atMs: this.now(), label: 'udp-1', kind: 'message', hex: datagram.toString('hex') })
    })
    this.#closers.push(() => new Promise((resolve) => socket.close(() => resolve())))
  }
}

const listening = (server: Server, port: number, ip: string) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, ip, () => {
      server.off('error', reject)
      resolve()
    })
  })
