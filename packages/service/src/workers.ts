import { createServer } from 'node:net'
import { hostname } from 'node:os'
import type { ClusterConfig } from './cluster-settings.ts'
import type { Logger } from './logger.ts'
import { drawWorkersGroup, isHandle, parcelMessage, readParcel, WORKERS_GROUP, WorkerSiblings } from './parcels.ts'
import { ServiceProcess } from './service-process.ts'
import type { BindAddress } from './value-schemas.ts'

/** What the workers of one program need of a worker. */
export type Worker = Pick<ServiceProcess, 'ready' | 'ended' | 'signal' | 'pass'>

/** Set for each worker: its number, from 1. */
const WORKER = 'WORKER'

/** A worker that dies at once is not started at once. */
const RESTART_PAUSE_MS = { first: 250, last: 10_000 }
/** Whoever has run for so long did not die of its start. */
const HEALTHY_MS = 60_000

/** The number of this worker, from 1; undefined in a program that runs alone or starts the workers. */
export function workerNumber(env: NodeJS.ProcessEnv = process.env): number | undefined {
  const number = Number(env[WORKER])
  return Number.isInteger(number) && number > 0 && process.channel !== undefined ? number : undefined
}

/** The other workers of this program; undefined in one that runs alone. */
export function workerSiblings(env: NodeJS.ProcessEnv = process.env): WorkerSiblings | undefined {
  const [worker, group] = [workerNumber(env), env[WORKERS_GROUP]]
  return worker === undefined || group === undefined ? undefined : new WorkerSiblings(group, worker)
}

/** What logs and lists call this node: NODE_ID or the host's name, with the number of the worker where there are some. */
export function nodeLabel({ nodeId }: Pick<ClusterConfig, 'nodeId'>, worker = workerNumber()): string {
  const label = nodeId ?? hostname()
  return worker === undefined ? label : `${label}.${worker}`
}

type ShareableConfig = Pick<ClusterConfig, 'nodeAddress' | 'reusePort' | 'workers'> & {
  readonly metricsBind: BindAddress | undefined
}

/** What differs for one of several workers: they share the clients' ports, and each has the next port of its own ones. */
export function workerConfig<Config extends ShareableConfig>(config: Config, worker = workerNumber()): Config {
  if (worker === undefined) return config
  const { metricsBind, nodeAddress } = config
  const own = <Address extends { readonly port?: number | undefined }>(address: Address | undefined) =>
    address?.port === undefined ? address : { ...address, port: address.port + worker - 1 }
  return { ...config, reusePort: true, metricsBind: own(metricsBind), nodeAddress: own(nodeAddress) }
}

export interface WorkersOptions {
  readonly count: number
  readonly log: Logger
  /** Workers that are still there this long after they were told to end are killed. */
  readonly closeWithinMs: number
  /** Starts the worker of a number. */
  readonly start: (number: number) => Worker
}

/** The workers of one program: one that dies is started again, all end together. */
export class Workers {
  readonly #options: WorkersOptions
  readonly #running = new Map<number, Worker>()
  readonly #told = new Set<NodeJS.Signals>()
  #isStopping = false
  #status = 0
  #whenEnded: (() => void) | undefined

  constructor(options: WorkersOptions) {
    this.#options = options
  }

  /** Starts all of them; settles with the exit status when all have ended. */
  async run(onReady: () => void): Promise<number> {
    const ended = new Promise<void>((resolve) => {
      this.#whenEnded = resolve
    })
    const numbers = Array.from({ length: this.#options.count }, (_, index) => index + 1)
    const ready = numbers.map((number) => this.#start(number, RESTART_PAUSE_MS.first))
    Promise.all(ready).then(onReady, () => {
      if (this.#isStopping) return
      // What keeps one from starting, a wrong setting or a taken port, is the same for all, and restarts don't help.
      this.#status ||= 1
      this.stop('SIGTERM')
    })
    await ended
    return this.#status
  }

  /** Passes a signal to end on to all; a second one, which means "at once" to them, too. */
  stop(signal: NodeJS.Signals): void {
    this.#told.add(signal)
    this.signal(signal)
    if (this.#isStopping) return
    this.#isStopping = true
    setTimeout(() => this.signal('SIGKILL'), this.#options.closeWithinMs).unref()
    this.#endWhenEmpty()
  }

  /** Passes on what one worker gives to another; where that one has just ended, the giver gets it back. */
  deliver(message: unknown, handle: unknown): void {
    const parcel = readParcel(message)
    if (!parcel || !isHandle(handle)) return
    const worker = this.#running.get(parcel.to) ?? this.#running.get(parcel.from)
    if (worker) worker.pass(parcelMessage(parcel), handle)
    else handle.close()
  }

  signal(signal: NodeJS.Signals): void {
    for (const worker of this.#running.values()) worker.signal(signal)
  }

  async #start(number: number, pauseMs: number): Promise<void> {
    const { log, start } = this.#options
    const startedAt = performance.now()
    const worker = start(number)
    this.#running.set(number, worker)
    void worker.ended.then(({ status, words, signal }) => {
      this.#running.delete(number)
      if (this.#isStopping) {
        // One that is told to end before it can listen to signals ends of the signal itself: that is as good.
        this.#status ||= signal && this.#told.has(signal) ? 0 : status
        return this.#endWhenEmpty()
      }
      log.error({ worker: number, status }, `worker ${number} ${words}; it is started again`)
      const isHealthy = performance.now() - startedAt >= HEALTHY_MS
      const nextMs = isHealthy ? RESTART_PAUSE_MS.first : Math.min(pauseMs * 2, RESTART_PAUSE_MS.last)
      setTimeout(() => {
        if (!this.#isStopping) this.#start(number, nextMs).catch(() => {}) // Its end is dealt with above.
      }, pauseMs)
    })
    await worker.ready
  }

  #endWhenEmpty(): void {
    if (this.#running.size === 0) this.#whenEnded?.()
  }
}

/**
 * Runs this program as several workers until they have ended.
 *
 * @param port where clients come; workers share it with one another, and with nobody else unless `reusePort`
 * @returns the exit status
 * @throws Node's listen error when somebody else has the port
 */
export async function runWorkers(options: {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  readonly config: Pick<ClusterConfig, 'workers' | 'reusePort'> & {
    readonly port: number
    readonly bind: string | undefined
  }
  readonly log: Logger
  readonly closeWithinMs: number
}): Promise<number> {
  const { name, program, args, config, log, closeWithinMs } = options
  if (!config.reusePort) await failWhenTaken(config.port, config.bind)
  const group = drawWorkersGroup()
  const start = (number: number) =>
    new ServiceProcess({
      ...{ name: `${name} worker ${number}`, program, args, folder: process.cwd() },
      env: { ...process.env, [WORKER]: String(number), [WORKERS_GROUP]: group },
      onMessage: (message, handle) => workers.deliver(message, handle),
    })
  const workers = new Workers({ count: config.workers, log, closeWithinMs, start })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) process.on(signal, () => workers.stop(signal))
  process.on('SIGHUP', () => workers.signal('SIGHUP'))
  return workers.run(() => {
    log.info({ workers: config.workers }, 'workers listening')
    process.send?.({ ready: true })
  })
}

/** Workers share their ports with everybody who asks for it: whether somebody has them is asked before. */
async function failWhenTaken(port: number, host: string | undefined): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, resolve)
  })
  await new Promise((resolve) => server.close(resolve))
}
