import { Command, CommanderError } from 'commander'
import { type CommandResult, generateKeyPair, validateKeyPair } from './key-commands.ts'

export interface UtilsInput {
  /** Under which name the program was started: `tryst`, or the reference's `rustdesk-utils`. */
  readonly name: string
  /** Without the program itself. */
  readonly argv: readonly string[]
  readonly version: string
}

/** The operator's command. Its words may be written in any case; what it prints scripts may rely on. */
export function runUtils({ name, argv, version }: UtilsInput): CommandResult {
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
  add('genkeypair', 'Make a key pair and print it', generateKeyPair)
  add('validatekeypair <public-key> <secret-key>', 'Check whether two keys are a pair', validateKeyPair)
  add('doctor <host>', 'Check a server from outside (not in this version)', doctor)

  const [word = '', ...rest] = argv
  try {
    program.parse([word.startsWith('-') ? word : word.toLowerCase(), ...rest], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { output: printed, status: 0 }
    const isHelp = argv.length === 0
    const reason = isHelp ? '' : `ERROR: ${error.message.replace(/^error: /, '')}\n\n`
    return { output: `${reason}${program.helpInformation()}`, status: 1 }
  }
  return result ?? { output: program.helpInformation(), status: 1 }
}

function doctor(host: string): CommandResult {
  return {
    output:
      `doctor cannot check ${host}: this version does not have it yet. ` +
      'Until then docs/troubleshooting.md tells what to look at.\n',
    status: 1,
  }
}
