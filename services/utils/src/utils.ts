import { resolve } from 'node:path'
import { AdministrationError } from '@tryst/device-admin'
import { StoreUnavailableError } from '@tryst/rendezvous'
import { ConfigError, redisFlags } from '@tryst/service'
import { ImportStoppedError, RedisUnreachableError } from '@tryst/state-redis'
import { DatabaseOpenError } from '@tryst/state-sqlite'
import { Command, CommanderError } from 'commander'
import type { CommandResult } from './command-result.ts'
import { DataFolderError } from './data-folder.ts'
import { addDeviceCommands, type DeviceCommandContext } from './devices/device-commands.ts'
import { openAdministration } from './devices/open-administration.ts'
import { addTokenCommands } from './devices/token-commands.ts'
import type { DoctorFlags } from './doctor-command.ts'
import { exportFolder } from './export-command.ts'
import { ImportRefusedError, importFolder } from './import-command.ts'
import { generateKeyPair, makeKeyFiles, validateKeyPair } from './key-commands.ts'
import { type Surroundings, UsageError } from './shared-redis.ts'

export interface UtilsInput extends Surroundings {
  /** Under which name the program was started: `tryst`, or the reference's `rustdesk-utils`. */
  readonly name: string
  /** Without the program itself. */
  readonly argv: readonly string[]
  readonly version: string
  /** Takes what a command says before it ends. */
  readonly print: (text: string) => void
}

interface TraceFlags {
  readonly last?: string
  readonly json?: true
  readonly folder?: string
}

/** The operator's command. Its words may be written in any case; what it prints scripts may rely on. */
export async function runUtils({ name, argv, version, env, cwd, print }: UtilsInput): Promise<CommandResult> {
  let result: CommandResult | undefined
  let printed = ''
  const program = new Command(name)
    .description('Tools for the operator of an ID server and its relay.')
    .version(`${name} ${version}`, '-V, --version', 'Show the version')
    .helpOption('-h, --help', 'Show this text')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        printed += text
      },
      // What went wrong is told below, on standard output, where the reference tells it.
      writeErr: () => {},
      getOutHelpWidth: () => 110,
    })
  const add = (words: string, description: string, run: (...values: string[]) => CommandResult) =>
    program
      .command(words)
      .description(description)
      .allowExcessArguments()
      .action((...values: string[]) => {
        result = run(...values)
      })
  program
    .command('genkeypair [folder]')
    .description('Make a key pair: print it, or make the key files of a folder that has none')
    .allowExcessArguments()
    .action(async (folder: string | undefined) => {
      result = folder === undefined ? generateKeyPair() : await makeKeyFiles(resolve(cwd, folder))
    })
  add('validatekeypair <public-key> <secret-key>', 'Check whether two keys are a pair', validateKeyPair)
  program
    .command('doctor <host>')
    .description('Check a server from outside, as its clients see it: what is wrong, and what to do')
    .option('--key <key>', 'What the clients have as their key; default: that of the status page, else of this folder')
    .option('--port <port>', "The ID server's main port; default: 21116")
    .option('--api <url>', 'Where the API is, if clients cannot derive it')
    .option('--wss <domain>', 'Name of the reverse proxy (or name:port); default: the host, if it is a name')
    .option('--ws-only', 'The clients use nothing but WebSocket')
    .option('--timeout <seconds>', 'For every single answer; default: 3')
    .option('--json', 'For scripts')
    .action(async (host: string, flags: DoctorFlags) => {
      const { runDoctor } = await import('./doctor-command.ts')
      result = await runDoctor({ host, flags, cwd, print })
    })
  const trace = program
    .command('trace [code]')
    .description('What became of an attempt to connect, by the code that the client shows')
    .option('--last <number>', 'List the last attempts instead; default: 20')
    .option('--json', 'For scripts')
    .option('--folder <folder>', "The server's working directory; default: this one, else ./data")
    .action(async (code: string | undefined, flags: TraceFlags) => {
      const { runTrace } = await import('./trace/trace-command.ts')
      const { last, folder, json } = flags
      const output = json ? 'json' : 'text'
      result = await runTrace({ code, last, output, folder, redisFlags: redisFlagsOf(trace), env, cwd })
    })
  // Their own first step takes these (start.ts); here they stand for the list of commands.
  program.command('init').description('Make what the containers need: keys, secrets, a certificate')
  program.command('health [services...]').description('Ask the services that run here whether they are well')
  const importing = program
    .command('import <folder>')
    .description("Bring the devices of a server's folder (SQLite) into the Redis that several nodes share")
    .option('--dry-run', 'Only say what would be done')
    .option('--replace <id>', 'Put the device of the folder in the place of the one in Redis; may be repeated', collect)
    .action(async (folder: string, options: { readonly dryRun?: true; readonly replace?: readonly string[] }) => {
      const mode = options.dryRun ? 'dry run' : 'import'
      const replace = options.replace ?? []
      result = await importFolder({ folder, mode, replace, redisFlags: redisFlagsOf(importing), env, cwd, print })
    })
  const exporting = program
    .command('export <folder>')
    .description('Write the devices in Redis into a new folder in which one server can start')
    .action(async (folder: string) => {
      result = await exportFolder({ folder, redisFlags: redisFlagsOf(exporting), env, cwd })
    })
  const devicesContext: DeviceCommandContext = {
    print,
    run: async (command, act) => {
      const { folder, json } = command.opts<{ readonly folder?: string; readonly json?: true }>()
      const administration = await openAdministration({ folder, redisFlags: redisFlagsOf(command), env, cwd })
      try {
        result = await act(administration, json ? 'json' : 'text')
      } finally {
        await administration.close()
      }
    },
  }
  const devices = program.command('devices').description('The devices of a server: who may register, and who does')
  addDeviceCommands(devices, devicesContext)
  const tokens = program.command('deploy-token').description('Tokens with which devices deploy themselves')
  addTokenCommands(tokens, devicesContext)
  for (const command of [...devices.commands, ...tokens.commands]) {
    command
      .option('--json', 'For scripts')
      .option('--folder <folder>', "The server's working directory; default: this one, else ./data")
    for (const { flag, meaning } of redisFlags) command.option(`${flag} <value>`, meaning)
  }
  for (const { flag, meaning } of redisFlags)
    for (const command of [trace, importing, exporting]) command.option(`${flag} <value>`, meaning)

  const [word = '', ...rest] = argv
  try {
    await program.parseAsync([word.startsWith('-') ? word : word.toLowerCase(), ...rest], { from: 'user' })
  } catch (error) {
    if (error instanceof Error && error.name === 'DoctorUsageError')
      return { output: `ERROR: ${error.message}\n`, status: 2 }
    if (isForOperator(error)) return { output: `ERROR: ${error.message}\n`, status: 1 }
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { output: printed, status: 0 }
    const isHelp = argv.length === 0 || error.code === 'commander.help'
    const reason = isHelp ? '' : `ERROR: ${error.message.replace(/^error: /, '')}\n\n`
    // Here 1 means that the examined server has a fault.
    const status = word.toLowerCase() === 'doctor' ? 2 : 1
    return { output: `${reason}${nearest(program, argv).helpInformation()}`, status }
  }
  return result ?? { output: program.helpInformation(), status: 1 }
}

/** The command that the words lead to, as far as they do. */
function nearest(command: Command, words: readonly string[]): Command {
  const [word = '', ...rest] = words
  const next = command.commands.find((candidate) => candidate.name() === word.toLowerCase())
  return next ? nearest(next, rest) : command
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

function redisFlagsOf(command: Command): ReadonlyMap<string, string> {
  const given = new Map<string, string>()
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName())
    if (redisFlags.some(({ flag }) => flag === option.long) && typeof value === 'string' && option.long)
      given.set(option.long, value)
  }
  return given
}

/** Errors whose message says what is wrong and what to do. */
const FOR_OPERATOR = [
  AdministrationError,
  ConfigError,
  DataFolderError,
  DatabaseOpenError,
  ImportRefusedError,
  ImportStoppedError,
  RedisUnreachableError,
  StoreUnavailableError,
  UsageError,
]

function isForOperator(error: unknown): error is Error {
  return FOR_OPERATOR.some((kind) => error instanceof kind)
}
