import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ChildProcesses } from './child-processes.ts'
import type { Held, HeldTransport, HolderSetup } from './kept-holder.ts'
import { readUsage } from './process-usage.ts'
import { HOST, idServer, startServer } from './server-process.ts'

const KEEP_ALIVE_MS = 20_000
const TRANSPORTS: readonly HeldTransport[] = ['tcp', 'tcp-plain', 'websocket']
/** Connections of the warm-up: code and tables that all connections share are there behind it. */
const WARM_UP = 500

/** What an idle ID server that holds so many connections takes. */
export interface KeptFigures {
  readonly connections: number
  readonly rssBytes: number
  /** Of one processor, while the server does nothing but beat. */
  readonly cpuShare: number
}

/** Holds these numbers of connections, one after the other, and measures the server at each. */
export async function measureKept(transport: HeldTransport, counts: readonly number[]): Promise<KeptFigures[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'tryst-bench-'))
  const children = new ChildProcesses()
  try {
    const most = Math.max(...counts)
    const { target, key } = await startServer(idServer(most), scratch, children)
    const pid = target.pids[0] ?? 0
    const setup: HolderSetup = { transport, host: HOST, port: target.port, key }
    const holder = new Holder(setup, children)
    const figures: KeptFigures[] = []
    for (const connections of [WARM_UP, ...counts]) {
      await holder.hold(connections)
      // Each has been beaten, and has answered, a few times.
      await sleep(1.5 * KEEP_ALIVE_MS)
      const before = readUsage(pid)
      await sleep(KEEP_ALIVE_MS)
      const after = readUsage(pid)
      const cpuShare = (after.cpuUs - before.cpuUs) / (KEEP_ALIVE_MS * 1_000)
      figures.push({ connections, rssBytes: after.rssBytes, cpuShare })
    }
    return figures
  } finally {
    await children.stopAll()
    rmSync(scratch, { recursive: true, force: true })
  }
}

class Holder {
  readonly #child: ChildProcess
  readonly #ended: Promise<never>
  #held: Held = { devices: 0, beats: 0 }

  constructor(setup: HolderSetup, children: ChildProcesses) {
    this.#child = fork(join(import.meta.dirname, 'kept-holder.ts'), [JSON.stringify(setup)])
    children.add(this.#child)
    this.#ended = once(this.#child, 'exit').then(([code]): never => {
      throw new Error(`the process that holds the connections has ended with ${code}`)
    })
    // It is stopped in the end, when nobody waits for it any more.
    this.#ended.catch(() => undefined)
    this.#child.on('message', (held: Held) => {
      this.#held = held
    })
  }

  async hold(devices: number): Promise<void> {
    this.#child.send({ devices, beats: 0 } satisfies Held)
    while (this.#held.devices < devices) await Promise.race([once(this.#child, 'message'), this.#ended])
  }
}

/** Prints what one more connection takes, for each way to be connected. */
export async function main(args: readonly string[]): Promise<void> {
  const numbers = args.map(Number).filter(Number.isInteger)
  const counts = numbers.length > 0 ? numbers : [5_000, 15_000]
  const named = TRANSPORTS.filter((transport) => args.includes(transport))
  for (const transport of named.length > 0 ? named : TRANSPORTS) {
    const figures = await measureKept(transport, counts)
    console.log(transport)
    for (const { connections, rssBytes, cpuShare } of figures) {
      const mebibytes = (rssBytes / 2 ** 20).toFixed(1)
      console.log(`  ${connections} connections: RSS ${mebibytes} MiB, ${(cpuShare * 100).toFixed(1)} % of a processor`)
    }
    const [first, last] = [figures.at(-counts.length), figures.at(-1)]
    if (!first || !last || first === last) continue
    const each = (last.rssBytes - first.rssBytes) / (last.connections - first.connections)
    console.log(`  RSS of one connection more: ${Math.round(each)} bytes`)
  }
}
