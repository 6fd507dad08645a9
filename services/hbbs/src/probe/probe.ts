import { Worker } from 'node:worker_threads'
import type { IdentityStore, PeerId } from '@tryst/rendezvous'
import { type Logger, type Metrics, zeroCounts } from '@tryst/service'
import {
  PROBE_STEPS,
  PROBE_TRANSPORTS,
  type ProbeReport,
  type ProbeTarget,
  type ProbeTransport,
} from './probe-round.ts'

export interface ProbeOptions {
  readonly target: ProbeTarget
  readonly identities: Pick<IdentityStore, 'create' | 'remove'>
  readonly log: Logger
}

/**
 * A pair of clients that tries every door of this server once a minute. What it finds is told in metrics and in the
 * detail of readiness, and never makes the node not ready: a relay that it cannot reach, or a loopback that is treated
 * otherwise than the internet, is no reason to send all devices elsewhere.
 */
export class Probe {
  readonly #reports = new Map<ProbeTransport, ProbeReport>()
  readonly #rounds = zeroCounts(['passed', 'failed'])
  #closing: Promise<void> | undefined

  private constructor(
    private readonly thread: Worker,
    private readonly options: ProbeOptions,
  ) {
    thread.on('message', (report: ProbeReport) => this.#take(report))
    thread.on('error', (err) => options.log.error({ err }, 'the probe has ended'))
    thread.unref()
  }

  /** Its devices are known before they come, whatever ACCESS_MODE says. */
  static async start(options: ProbeOptions): Promise<Probe> {
    const { target, identities, log } = options
    for (const { id, uuid, publicKey } of Object.values(target.identities))
      await identities
        .create({ id: id as PeerId, uuid, publicKey, ip: '' })
        .catch((err: unknown) => log.warn({ err, id }, 'a device of the probe could not be registered'))
    const thread = new Worker(new URL('./probe-thread.js', import.meta.url), { workerData: target })
    return new Probe(thread, options)
  }

  /** What was found last; empty before the first round. */
  get detail(): string {
    return [...this.#reports.values()]
      .map(({ transport, error }) => `probe ${transport}: ${error === undefined ? 'ok' : `failed, ${error}`}\n`)
      .join('')
  }

  expose(metrics: Metrics): void {
    metrics.grid({
      name: 'tryst_probe_ok',
      help: '1 where the step of the last probe succeeded, 0 where it failed; steps that were not tried are not there',
      labels: ['transport', 'step'],
      read: () => this.#grid((took) => (took === 'failed' ? 0 : 1)),
    })
    metrics.grid({
      name: 'tryst_probe_seconds',
      help: 'How long the step of the last probe took that succeeded',
      labels: ['transport', 'step'],
      read: () => this.#grid((took) => (took === 'failed' ? undefined : took / 1000)),
    })
    metrics.totals({
      name: 'tryst_probes_total',
      help: 'Probes of one transport each',
      label: 'outcome',
      read: () => this.#rounds,
    })
  }

  /** Its devices are forgotten. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.thread.terminate()
    const { target, identities } = this.options
    // Where the store is away they stay, and are used again.
    for (const { id } of Object.values(target.identities)) await identities.remove(id as PeerId).catch(() => false)
  }

  #take(report: ProbeReport): void {
    const { transport, error } = report
    const before = this.#reports.get(transport)
    this.#reports.set(transport, report)
    this.#rounds[error === undefined ? 'passed' : 'failed']++
    const { log } = this.options
    if (error !== undefined && before?.error === undefined) log.warn({ transport, error }, 'the probe fails')
    if (error === undefined && before?.error !== undefined) log.info({ transport }, 'the probe succeeds again')
  }

  #grid(levelOf: (took: number | 'failed') => number | undefined): [readonly [string, string], number][] {
    return PROBE_TRANSPORTS.flatMap((transport) =>
      PROBE_STEPS.flatMap((step): [readonly [string, string], number][] => {
        const took = this.#reports.get(transport)?.steps[step]
        const value = took === undefined ? undefined : levelOf(took)
        return value === undefined ? [] : [[[transport, step], value]]
      }),
    )
  }
}
