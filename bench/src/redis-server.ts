import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcesses } from './child-processes.ts'
import { findFreePort } from './free-ports.ts'
import type { Measured, RedisCommands } from './job.ts'
import { HOST } from './server-process.ts'

/** Why nodes that share a Redis can't be measured here; undefined: they can. */
export const NO_REDIS: string | undefined =
  spawnSync('redis-server', ['--version']).status === 0
    ? undefined
    : 'redis-server is not on the PATH; its processor time counts, so it has to run here'

const START_TIMEOUT_MS = 10_000
/** What has been done shows among the monitored commands a moment later. */
const MONITOR_LAG_MS = 100

/** A Redis of the benchmark's own, set up as docs/operating.md says. */
export class RedisServer {
  #monitor: Socket | undefined
  #seen = { sent: 0, executed: 0 }

  readonly pid: number
  readonly #port: number

  private constructor(port: number, pid: number) {
    this.#port = port
    this.pid = pid
  }

  static async start(scratch: string, children: ChildProcesses): Promise<RedisServer> {
    const port = await findFreePort(HOST)
    const folder = mkdtempSync(join(scratch, 'redis-'))
    const child = spawn(
      'redis-server',
      [
        ...['--port', `${port}`, '--bind', HOST, '--dir', folder, '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
      ],
      { stdio: 'ignore' },
    )
    children.add(child)
    const redis = new RedisServer(port, child.pid ?? 0)
    const deadline = performance.now() + START_TIMEOUT_MS
    while (!(await redis.#answers())) {
      if (performance.now() > deadline) throw new Error(`redis-server does not answer on port ${port}`)
      await sleep(50)
    }
    return redis
  }

  get url(): string {
    return `redis://${HOST}:${this.#port}/0`
  }

  /** What `work` makes it do. Costs it time: not for work whose time or CPU is compared. */
  async counting(work: () => Promise<Measured>): Promise<Measured> {
    await this.#watch()
    const before = { ...this.#seen }
    try {
      const measured = await work()
      await sleep(MONITOR_LAG_MS)
      return { ...measured, commands: since(before, this.#seen) }
    } finally {
      this.#monitor?.destroy()
    }
  }

  async #watch(): Promise<void> {
    const socket = connect(this.#port, HOST)
    await once(socket, 'connect')
    this.#monitor = socket
    let rest = ''
    // One line each: `+1700000000.000000 [0 127.0.0.1:50000] "EVALSHA" ...`, with `lua` for what a script calls.
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('latin1')).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!line.includes('[')) continue
        this.#seen.executed++
        if (!/^\+[\d.]+ \[\d+ lua\]/.test(line)) this.#seen.sent++
      }
    })
    socket.on('error', () => undefined)
    socket.write('MONITOR\r\n')
    await once(socket, 'data')
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.#port, HOST)
      socket.on('error', () => resolve(false))
      socket.on('data', (answer) => {
        resolve(answer.toString().startsWith('+PONG'))
        socket.destroy()
      })
      socket.write('PING\r\n')
    })
  }
}

function since(before: RedisCommands, now: RedisCommands): RedisCommands {
  return { sent: now.sent - before.sent, executed: now.executed - before.executed }
}
