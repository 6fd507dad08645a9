import type { ServiceEnd, ServiceProcess } from '@tryst/service'

/** What the supervisor needs of a service. */
export type SupervisedService = Pick<ServiceProcess, 'name' | 'ready' | 'ended' | 'signal'>

/** How all of it ended: the status to exit with, and what to tell when nobody asked for the end. */
export interface SupervisionEnd {
  readonly status: number
  readonly fault?: string
}

export interface SupervisorOptions {
  readonly services: readonly SupervisedService[]
  /** Services that are still there this long after they were told to end are killed. */
  readonly closeWithinMs: number
  readonly setTimer?: (callback: () => void, ms: number) => { unref(): unknown }
}

/** A signal that comes again so soon is the same one: Ctrl-C arrives from the terminal, from npm and passed on. */
const SAME_SIGNAL_MS = 300

/**
 * Keeps services together: they become ready together, get the same signals, and when one ends the others follow.
 */
export class Supervisor {
  readonly #services: readonly SupervisedService[]
  readonly #closeWithinMs: number
  readonly #setTimer: NonNullable<SupervisorOptions['setTimer']>
  readonly #stopSignals = new Set<NodeJS.Signals>()
  #lastStopAtMs = Number.NEGATIVE_INFINITY

  constructor({ services, closeWithinMs, setTimer = setTimeout }: SupervisorOptions) {
    this.#services = services
    this.#closeWithinMs = closeWithinMs
    this.#setTimer = setTimer
  }

  /** Settles when all services listen; rejects when one ends before that. */
  async ready(): Promise<void> {
    await Promise.all(this.#services.map(({ ready }) => ready))
  }

  /**
   * Passes a signal to end on to all services. A second one, which means "at once" to them, is passed on too; what
   * follows the first within a moment is taken for its echo.
   */
  stop(signal: NodeJS.Signals, nowMs: number = performance.now()): void {
    if (nowMs - this.#lastStopAtMs < SAME_SIGNAL_MS) return
    this.#lastStopAtMs = nowMs
    const isFirst = this.#stopSignals.size === 0
    this.#stopSignals.add(signal)
    for (const service of this.#services) service.signal(signal)
    if (!isFirst) return
    this.#setTimer(() => {
      for (const service of this.#services) service.signal('SIGKILL')
    }, this.#closeWithinMs).unref()
  }

  /** Passes on a signal that ends nothing to one service. */
  notify(name: string, signal: NodeJS.Signals): void {
    for (const service of this.#services) if (service.name === name) service.signal(signal)
  }

  /** Settles when all services have ended. The first one that ends without having been told to takes the rest down. */
  async end(): Promise<SupervisionEnd> {
    let fault: { service: SupervisedService; end: ServiceEnd } | undefined
    const ends = this.#services.map(async (service) => {
      const end = await service.ended
      if (this.#stopSignals.size === 0) {
        fault = { service, end }
        this.stop('SIGTERM')
      }
      return end
    })
    // A service that is told to end before it can listen to signals ends of the signal itself: that is as good.
    const statuses = (await Promise.all(ends)).map(({ status, signal }) =>
      signal && this.#stopSignals.has(signal) ? 0 : status,
    )
    if (fault === undefined) return { status: Math.max(...statuses) }
    const { service, end } = fault
    return {
      status: end.status === 0 ? 1 : end.status,
      fault: `${service.name} ${end.words}, so everything was stopped`,
    }
  }
}
