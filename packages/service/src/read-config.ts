import { readFileSync } from 'node:fs'
import { ConfigError } from './config-error.ts'
import { codeOf } from './error-code.ts'
import type { ConfigInput, ParsedConfig } from './parse-config.ts'

/** Version of this software, from its package. */
export const packageVersion: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version

/** Set by a parent that hands tickets of sessions from an ID server to the relay, over the channel to its children. */
export const TICKETS_FROM_PARENT = 'TICKETS_FROM_PARENT'

/** Whether this process has a parent that hands tickets on. */
export const ticketsGoThroughParent = (): boolean =>
  process.env[TICKETS_FROM_PARENT] === 'Y' && process.channel !== undefined

/** Whether a parent runs ID server and relay together, and hands on what the one has for the other. */
export const hasServerAsParent = (): boolean =>
  process.env[TICKETS_FROM_PARENT] !== undefined && process.channel !== undefined

function readFileIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** The one place where the environment and the command line of this process are read. */
export const processInput = (): ConfigInput => ({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  readFile: readFileIfThere,
  version: packageVersion,
  ticketsFromParent: ticketsGoThroughParent(),
})

/**
 * The configuration of this process. Ends it where there is nothing to run: with 0 after `--help` and `--version`,
 * with 1 when a setting is wrong, after listing every one with its remedy.
 */
export function readConfigOrExit<Config>(parse: (input: ConfigInput) => ParsedConfig<Config>): {
  readonly config: Config
  readonly warnings: readonly string[]
} {
  try {
    const parsed = parse(processInput())
    if (parsed.kind === 'run') return parsed
    process.stdout.write(parsed.text)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}
