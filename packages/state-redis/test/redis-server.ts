import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from './until.ts'

/** A Redis server of a test's own, to be stopped, killed and started again. */
export interface OwnRedis {
  readonly port: number
  readonly url: string
  readonly folder: string
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
  /** As a power cut. */
  kill(): Promise<void>
  /** On the same port; what is in its folder is read unless it is `empty`. */
  restart(how?: 'with its data' | 'empty'): Promise<void>
  stop(): Promise<void>
}

const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0

/** Undefined where fault tests can run; else why not, and what to do about it. */
export const whyNoRedisServer = hasRedisServer
  ? undefined
  : 'there is no redis-server on the PATH; install the package redis-server'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Resolves when something listens at the port. */
export async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`redis on port ${port} ended with ${child.exitCode}`)
    const socket = createConnection(port, '127.0.0.1')
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Starts redis-server on a free loopback port with its data in a folder of its own; AOF on, synced each second. */
export async function startRedisServer(...options: string[]): Promise<OwnRedis> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'tryst-redis-'))
  let child = await start()

  async function start(): Promise<ChildProcess> {
    const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes']
    // A replica gets what there is at once.
    const eager = ['--repl-diskless-sync-delay', '0']
    const started = spawn('redis-server', [...settings, ...eager, ...options], { stdio: 'ignore' })
    await untilListening(port, started)
    return started
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  return {
    port,
    folder,
    url: `redis://127.0.0.1:${port}`,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill: () => end('SIGKILL'),
    restart: async (how = 'with its data') => {
      await end('SIGKILL')
      if (how === 'empty') rmSync(join(folder, 'appendonlydir'), { recursive: true, force: true })
      child = await start()
    },
    stop: async () => {
      await end('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Resolves when as many replicas have taken over what there is and acknowledge what comes. */
export async function untilReplicating(primary: OwnRedis, replicas: number): Promise<void> {
  const redis = new Redis(primary.url)
  await until(
    async () => {
      await redis.set('replicated', 'yes')
      return (await redis.wait(replicas, 500)) >= replicas
    },
    `${replicas} replicas have joined`,
    30_000,
  )
  redis.disconnect()
}
