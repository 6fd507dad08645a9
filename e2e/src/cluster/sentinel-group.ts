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
const REPLICAS = 2
const SENTINELS = 3
const QUORUM = 2
const DOWN_AFTER_MS = 1_000
const FAILOVER_TIMEOUT_MS = 5_000

/** A primary and two replicas, so that one is left when a server is lost; three Sentinels watch them. */
export class SentinelGroup {
  readonly #sentinels: { readonly port: number; readonly child: ChildProcess }[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-sentinels-'))

  private constructor(
    /** The first is the primary at the beginning. */
    readonly servers: readonly RedisProcess[],
  ) {}

  static async start(): Promise<SentinelGroup> {
    const primary = await RedisProcess.start()
    const servers = [primary]
    const group = new SentinelGroup(servers)
    try {
      for (let i = 0; i < REPLICAS; i++) {
        const replica = await RedisProcess.start(['--replicaof', '127.0.0.1', `${primary.port}`])
        servers.push(replica)
        await waitUntil('the replica follows', () => isFollowing(replica))
      }
      for (let i = 0; i < SENTINELS; i++) await group.#addSentinel()
      for (const { port } of group.#sentinels)
        await waitUntil(
          'the Sentinels know each other and the replicas',
          async () => {
            const state = await askSentinel(port, `SENTINEL MASTER ${NAME}`)
            return (
              fieldOf(state, 'num-other-sentinels') === `${SENTINELS - 1}` &&
              fieldOf(state, 'num-slaves') === `${REPLICAS}`
            )
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

  /** The primary as the Sentinels see it. */
  async primary(): Promise<RedisProcess> {
    const [first] = this.#sentinels
    const port = fieldOf(await askSentinel(first?.port ?? 0, `SENTINEL MASTER ${NAME}`), 'port')
    const primary = this.servers.find((server) => `${server.port}` === port)
    if (!primary) throw new Error(`the Sentinels name port ${port}, which is nobody's`)
    return primary
  }

  async close(): Promise<void> {
    for (const { child } of this.#sentinels) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    for (const server of this.servers) await server.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #addSentinel(): Promise<void> {
    const port = await freePort()
    const file = join(this.#folder, `${port}.conf`)
    writeFileSync(
      file,
      [
        ...[`port ${port}`, 'bind 127.0.0.1', `dir ${this.#folder}`],
        `sentinel monitor ${NAME} 127.0.0.1 ${this.servers[0]?.port} ${QUORUM}`,
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

/** It is a replica and has a link to its primary. */
export async function isFollowing(server: RedisProcess): Promise<boolean> {
  return /master_link_status:up/.test(await server.ask('INFO replication').catch(() => ''))
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
