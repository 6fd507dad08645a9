import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

/** Why the model can't be compared with a Redis here; undefined: it can. */
export const NO_REDIS: string | undefined =
  spawnSync('redis-server', ['--version']).status === 0
    ? undefined
    : 'skipped: redis-server is not installed; install the package redis-server (7 or newer)'

/** A Redis at a socket in a folder of its own. */
export class RedisProcess {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly client: Redis

  private constructor(child: ChildProcess, folder: string, client: Redis) {
    this.#child = child
    this.#folder = folder
    this.client = client
  }

  static async start(): Promise<RedisProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-model-'))
    const socket = join(folder, 'redis')
    const args = ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder]
    const child = spawn('redis-server', args, { stdio: 'ignore' })
    const client = new Redis({ path: socket, retryStrategy: () => 50, maxRetriesPerRequest: 200 })
    // Until it listens.
    client.on('error', () => {})
    await client.ping()
    return new RedisProcess(child, folder, client)
  }

  async stop(): Promise<void> {
    this.client.disconnect()
    this.#child.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
