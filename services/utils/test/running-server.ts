import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  decodeRendezvous,
  encodeFrame,
  encodeRendezvous,
  FrameDecoder,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { freePorts } from '../../../e2e/src/site/free-ports.ts'
import { until } from '../../../packages/state-redis/test/until.ts'

const HOST = '127.0.0.1'

/** An ID server as a process, in a folder of its own. */
export class RunningServer {
  #log = ''

  private constructor(
    readonly folder: string,
    readonly port: number,
    private readonly child: ChildProcess,
  ) {}

  static async start(folder: string, env: Readonly<Record<string, string>>): Promise<RunningServer> {
    mkdirSync(folder, { recursive: true })
    const { main: port } = await freePorts()
    const child = spawn(
      fileURLToPath(new URL('../../hbbs/bin/hbbs', import.meta.url)),
      ['-p', String(port), '-b', HOST, '-r', `${HOST}:21117`],
      {
        cwd: folder,
        env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, LOG_FORMAT: 'json', API_URL: 'none', ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const server = new RunningServer(folder, port, child)
    child.stdout?.on('data', (chunk) => {
      server.#log += chunk
    })
    await until(() => server.#log.includes('"listening"'), 'hbbs listens', 30_000)
    return server
  }

  get log(): string {
    return this.#log
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill(signal)
    await ended
  }

  /** What OnlineRequest says of one device. */
  async isOnline(id: string): Promise<boolean> {
    const answer = await this.ask({ onlineRequest: { id: '1', peers: [id] } })
    return answer?.onlineResponse?.states[0] === 0x80
  }

  /** One message over TCP, and the first answer; undefined: the server closed the connection. */
  async ask(message: OutgoingRendezvousMessage): Promise<RendezvousMessage | undefined> {
    const socket = connect(this.port, HOST)
    socket.write(encodeFrame(encodeRendezvous(message)))
    const decoder = new FrameDecoder(65_536)
    let answer: RendezvousMessage | undefined
    try {
      for await (const chunk of socket) {
        decoder.push(chunk as Buffer, (payload) => {
          answer ??= decodeRendezvous(payload)
        })
        if (answer) return answer
      }
      return undefined
    } finally {
      socket.destroy()
    }
  }
}

/** A device on UDP that says what a test wants. */
export class UdpDevice {
  readonly #socket = createSocket('udp4')
  readonly uuid: Uint8Array
  publicKey: Uint8Array

  /** @param localAddress of loopback, where it is to be seen from another one */
  constructor(
    public id: string,
    value = 1,
    localAddress = HOST,
  ) {
    this.#socket.bind(0, localAddress)
    this.uuid = new Uint8Array(36).fill(value)
    this.publicKey = new Uint8Array(32).fill(value)
  }

  /** The result of RegisterPk. */
  async register(server: RunningServer): Promise<number | undefined> {
    const { id, uuid, publicKey: pk } = this
    return (await this.#ask(server, { registerPk: { id, uuid, pk } })).registerPkResponse?.result
  }

  /** Whether the server asks for the key. */
  async heartbeat(server: RunningServer): Promise<boolean | undefined> {
    return (await this.#ask(server, { registerPeer: { id: this.id, serial: 3 } })).registerPeerResponse?.requestPk
  }

  close(): void {
    this.#socket.close()
  }

  async #ask(server: RunningServer, message: OutgoingRendezvousMessage): Promise<RendezvousMessage> {
    const answer = once(this.#socket, 'message', { signal: AbortSignal.timeout(20_000) })
    this.#socket.send(encodeRendezvous(message), server.port, HOST)
    const [datagram] = await answer
    return decodeRendezvous(datagram as Buffer)
  }
}
