import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../site/free-ports.ts'
import { waitUntil } from '../site/wait-until.ts'

/** Why fault tests can't run here; undefined: they can. They stop and kill their Redis, so it has to be their own. */
export const NO_REDIS: string | undefined =
  spawnSync('redis-server', ['--version']).status === 0
    ? undefined
    : 'redis-server is not installed; install the package redis-server (7 or newer)'

/** A Redis server of a test's own, to be stopped, killed and restarted. */
export class RedisProcess {
  readonly port: number
  readonly #folder: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined

  private constructor(port: number, args: readonly string[]) {
    this.port = port
    this.#args = args
    this.#folder = mkdtempSync(join(tmpdir(), 'tryst-redis-'))
  }

  /** @param args more of redis-server's, such as `--replicaof 127.0.0.1 7000` */
  static async start(args: readonly string[] = []): Promise<RedisProcess> {
    const redis = new RedisProcess(await freePort(), args)
    await redis.run()
    return redis
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`
  }

  /** Starts it with the data that it had. */
  async run(): Promise<void> {
    const child = spawn(
      'redis-server',
      [
        ...['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.#folder, '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
        ...this.#args,
      ],
      { stdio: 'ignore' },
    )
    this.#child = child
    await waitUntil('Redis answers', async () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
      return (await this.ask('PING').catch(() => '')).startsWith('+PONG')
    })
  }

  /** Neither answers nor closes anything until `thaw`. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Loses everything. */
  async runEmpty(): Promise<void> {
    await this.kill()
    rmSync(join(this.#folder, 'appendonlydir'), { recursive: true, force: true })
    await this.run()
  }

  /** One inline command, and what came back. */
  async ask(command: string, limitMs = 1_000): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    const timer = setTimeout(() => socket.destroy(new Error(`Redis: no answer to ${command}`)), limitMs)
    try {
      socket.write(`${command}\r\n`)
      const [answer] = await once(socket, 'data')
      return String(answer)
    } finally {
      clearTimeout(timer)
      socket.destroy()
    }
  }

  /** How many commands it has carried out, those inside of scripts included. */
  async commandsProcessed(): Promise<number> {
    const stats = await this.ask('INFO stats')
    return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1])
  }

  /** What it is asked to do meanwhile, line by line. */
  async commandsDuring(action: () => Promise<void>): Promise<string[]> {
    const socket = connect(this.port, '127.0.0.1')
    const chunks: Buffer[] = []
    try {
      socket.write('MONITOR\r\n')
      await once(socket, 'data')
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      await action()
    } finally {
      socket.destroy()
    }
    return Buffer.concat(chunks).toString('latin1').split('\r\n')
  }

  async close(): Promise<void> {
    this.thaw()
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
