import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../site/free-ports.ts'
import { waitUntil } from '../site/wait-until.ts'
import { NO_REDIS, RedisProcess } from './redis-process.ts'

/** Why tests of a failover can't run here; undefined: they can. */
export const NO_SENTINEL: string | undefined =
  NO_REDIS ??
  (spawnSync('redis-sentinel', ['--version']).status === 0
    ? undefined
    : 'redis-sentinel is not installed; install the package redis-sentinel (7 or newer)')

const NAME = 'mymaster'
const SENTINELS = 3
const QUORUM = 2
const DOWN_AFTER_MS = 1_000
const FAILOVER_TIMEOUT_MS = 5_000

/** A primary and a replica that three Sentinels watch. */
export class SentinelGroup {
  readonly #sentinels: { readonly port: number; readonly child: ChildProcess }[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-sentinels-'))

  private constructor(
    readonly primary: RedisProcess,
    readonly replica: RedisProcess,
  ) {}

  static async start(): Promise<SentinelGroup> {
    const primary = await RedisProcess.start()
    const replica = await RedisProcess.start(['--replicaof', '127.0.0.1', `${primary.port}`])
    const group = new SentinelGroup(primary, replica)
    try {
      await waitUntil('the replica follows', async () =>
        /master_link_status:up/.test(await replica.ask('INFO replication')),
      )
      for (let i = 0; i < SENTINELS; i++) await group.#addSentinel()
      for (const { port } of group.#sentinels)
        await waitUntil(
          'the Sentinels know each other and the replica',
          async () => {
            const state = await askSentinel(port, `SENTINEL MASTER ${NAME}`)
            return fieldOf(state, 'num-other-sentinels') === `${SENTINELS - 1}` && fieldOf(state, 'num-slaves') === '1'
          },
          20_000,
        )
      return group
    } catch (error) {
      await group.close()
      throw error
    }
  }

  /** For REDIS_SENTINELS. */
  get addresses(): string {
    return this.#sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
  }

  /** The port of the primary, as the Sentinels see it. */
  async primaryPort(): Promise<number> {
    const [first] = this.#sentinels
    const state = await askSentinel(first?.port ?? 0, `SENTINEL MASTER ${NAME}`)
    return Number(fieldOf(state, 'port'))
  }

  async close(): Promise<void> {
    for (const { child } of this.#sentinels) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await this.replica.close()
    await this.primary.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #addSentinel(): Promise<void> {
    const port = await freePort()
    const file = join(this.#folder, `${port}.conf`)
    writeFileSync(
      file,
      [
        ...[`port ${port}`, 'bind 127.0.0.1', `dir ${this.#folder}`],
        `sentinel monitor ${NAME} 127.0.0.1 ${this.primary.port} ${QUORUM}`,
        `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
        `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
        '',
      ].join('\n'),
    )
    const child = spawn('redis-sentinel', [file], { stdio: 'ignore' })
    this.#sentinels.push({ port, child })
    await waitUntil('a Sentinel answers', async () => {
      if (child.exitCode !== null) throw new Error(`redis-sentinel ended with ${child.exitCode}`)
      return (await askSentinel(port, 'PING').catch(() => '')).startsWith('+PONG')
    })
  }
}

/** One inline command, and the whole of what came back at once. */
async function askSentinel(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const timer = setTimeout(() => socket.destroy(new Error(`the Sentinel does not answer ${command}`)), 1_000)
  try {
    socket.write(`${command}\r\n`)
    const [answer] = await once(socket, 'data')
    return String(answer)
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

/** Of a flat list of names and values, as RESP has it. */
function fieldOf(reply: string, name: string): string | undefined {
  const lines = reply.split('\r\n')
  const at = lines.indexOf(name)
  return at < 0 ? undefined : lines[at + 2]
}
