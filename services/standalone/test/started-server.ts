import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeRendezvous, encodeRendezvous, rendezvous } from '@tryst/protocol'

const MAIN = join(import.meta.dirname, '../dist/main.js')
const LIMIT_MS = 20_000

/** `npm start` without npm: the built program with its services. */
export class StartedServer {
  readonly ended: Promise<{ status: number | null; signal: NodeJS.Signals | null }>
  readonly #child: ChildProcess
  readonly #services = new Map<string, number>()
  #output = ''

  constructor(env: Record<string, string>) {
    this.#child = spawn(process.execPath, [MAIN], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
    this.ended = once(this.#child, 'close').then(([status, signal]) => ({ status, signal }))
  }

  output(): string {
    return this.#output
  }

  lines(): string[] {
    return this.#output.split('\n')
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Settles when the start has said all that it has to say. */
  async ready({ api = 'own' }: { readonly api?: 'own' | 'none' } = {}): Promise<void> {
    await until(() => {
      if (this.#child.exitCode !== null) throw new Error(`ended with ${this.#child.exitCode}:\n${this.#output}`)
      return this.#output.includes('Tryst is ready') && this.#output.includes('Data  ')
    }, 'both services listen')
    for (const name of ['hbbs', 'hbbr', ...(api === 'own' ? ['api'] : [])])
      this.#services.set(name, childNamed(this.#child.pid ?? 0, name))
  }

  /** Process id of one of the services. */
  serviceProcess(name: 'hbbs' | 'hbbr' | 'api'): number {
    return this.#services.get(name) ?? 0
  }

  async servicesGone(): Promise<void> {
    await until(() => ![...this.#services.values()].some(isAlive), 'no service is left')
  }

  /** For cleaning up; whatever has ended already is left alone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.ended
    for (const pid of this.#services.values()) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
}

/** Registers a device over UDP and tells the name of the result. */
export async function register(port: number, id: string): Promise<string | undefined> {
  const socket = createSocket('udp4')
  try {
    const request = { id, uuid: Buffer.from(`machine of ${id}`), pk: Buffer.alloc(32, 7) }
    socket.send(encodeRendezvous({ registerPk: request }), port, '127.0.0.1')
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(LIMIT_MS) })
    const { registerPkResponse } = decodeRendezvous(answer)
    return registerPkResponse && rendezvous.RegisterPkResponse.Result[registerPkResponse.result]
  } finally {
    socket.close()
  }
}

export async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Below the ports that the system gives to outgoing connections, which can take one that was free a moment ago. */
const PORTS = { from: 22_000, to: 32_000 }

/** A port for the ID server whose neighbours are free too. */
export async function freePort(): Promise<number> {
  const start = PORTS.from + (process.pid % 900) * 10
  for (let port = start; port < PORTS.to; port += 10) {
    const free = await Promise.all([-2, -1, 0, 1, 2, 3, 5, 6, 7].map((offset) => isFree(port + offset)))
    if (!free.includes(false)) return port
  }
  throw new Error('no free ports')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + LIMIT_MS
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`)
    await sleep(20)
  }
}

function childNamed(parent: number, name: string): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8')
      const parentOf = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      if (parentOf !== parent) continue
      if (readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(`/bin/${name}\0`)) return Number(entry)
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`no child process runs ${name}`)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
