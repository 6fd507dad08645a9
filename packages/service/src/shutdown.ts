import type { Logger } from './logger.ts'

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const

/** The parts of a process that its end is about. */
export interface EndingProcess {
  on(event: string, listener: (...values: unknown[]) => void): unknown
  off(event: string, listener: (...values: unknown[]) => void): unknown
  exit(code: number): void
}

export interface ShutdownOptions {
  readonly log: Logger
  /** Ends everything that was started; when it has settled, nothing keeps the process alive. */
  readonly close: () => Promise<void>
  readonly process?: EndingProcess
}

export interface Shutdown {
  /** It has begun: what fails from now on, such as a start that was under way, is no failure of the program. */
  readonly isStopping: boolean
  /** Stops as a signal would; settles when `close` has. */
  begin(reason: string): Promise<void>
  /** Takes the handlers off again. */
  uninstall(): void
}

/**
 * The first SIGTERM, SIGINT or SIGQUIT closes and ends with 0, the second ends at once. What nobody foresaw ends the
 * process loudly: going on with half a state helps nobody.
 */
export function installShutdown({ log, close, process: target = process }: ShutdownOptions): Shutdown {
  let closing: Promise<void> | undefined
  const begin = (reason: string): Promise<void> => {
    closing ??= (async () => {
      log.info({ reason }, 'stopping')
      try {
        await close()
        log.info('stopped')
        target.exit(0)
      } catch (err) {
        log.fatal({ err }, 'stopping failed')
        target.exit(1)
      }
    })()
    return closing
  }
  const handlers = new Map<string, (...values: unknown[]) => void>()
  for (const signal of STOP_SIGNALS) {
    handlers.set(signal, () => {
      if (closing === undefined) {
        void begin(signal)
        return
      }
      log.warn({ signal }, 'told to stop twice: ending at once')
      target.exit(1)
    })
  }
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    handlers.set(event, (err) => {
      log.fatal({ err }, event === 'uncaughtException' ? 'unexpected exception' : 'unexpected rejection')
      target.exit(1)
    })
  }
  for (const [event, handler] of handlers) target.on(event, handler)
  return {
    get isStopping() {
      return closing !== undefined
    },
    begin,
    uninstall() {
      for (const [event, handler] of handlers) target.off(event, handler)
    },
  }
}
