import { createRequire } from 'node:module'
import { type DestinationStream, destination as fileDestination, type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogFormat, LogLevel } from './shared-settings.ts'

export type { Logger } from 'pino'

export interface LoggerOptions {
  /** Stands in every line. */
  readonly service: string
  readonly level: LogLevel
  /** Undefined: pretty on a terminal, JSON elsewhere. */
  readonly format?: LogFormat | undefined
  /** Standard output when not given. */
  readonly destination?: DestinationStream
}

/** Fields that hold secrets wherever they stand; the public key is told in messages, never in a field `key`. */
const SECRET_FIELDS = [
  'key',
  'secretKey',
  'secret',
  'licenceKey',
  'licence_key',
  'token',
  'password',
  'authorization',
  'cookie',
]
/** How deep below the top of a line secrets are looked for. */
const SECRET_PREFIXES = ['', '*.', '*.*.']

const STDOUT = 1

/** A logger whose lines are written before the call returns: nothing is lost when the process ends. */
export function createLogger({ service, level, format, destination }: LoggerOptions): Logger {
  const isTerminal = destination === undefined && process.stdout.isTTY
  const chosen = format ?? (isTerminal ? 'pretty' : 'json')
  const lines = destination ?? fileDestination({ dest: STDOUT, sync: true })
  return pino(
    {
      level,
      base: { service },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: SECRET_PREFIXES.flatMap((prefix) => SECRET_FIELDS.map((field) => `${prefix}${field}`)),
        censor: '[redacted]',
      },
    },
    chosen === 'pretty' ? prettily(lines, isTerminal ? 'on' : 'off') : lines,
  )
}

/** For people: time, level, service and message, fields behind them. */
function prettily(lines: DestinationStream, colours: 'on' | 'off'): DestinationStream {
  // Loaded where it is used: a service that writes JSON has no need for it.
  const { prettyFactory }: typeof import('pino-pretty') = createRequire(import.meta.url)('pino-pretty')
  const format = prettyFactory({
    colorize: colours === 'on',
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    messageFormat: '{service}: {msg}',
    ignore: 'pid,hostname,service',
  })
  return { write: (line) => lines.write(format(line)) }
}
