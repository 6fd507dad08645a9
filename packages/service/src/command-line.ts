import { Command, CommanderError, Option } from 'commander'
import type { ConfigProblem } from './config-error.ts'
import { nearestName } from './near-names.ts'
import type { Setting, SettingsTable } from './setting.ts'
import { type Given, normaliseName, type SettingSource } from './setting-sources.ts'

export interface Program {
  readonly name: string
  readonly description: string
  readonly settings: SettingsTable
  /** Whether `--config FILE` is understood. */
  readonly configFile: 'accepted' | 'unknown'
}

export interface CommandLine {
  readonly source: SettingSource
  /** Value of `--config`. */
  readonly configFile: string | undefined
  readonly wants: 'run' | 'help' | 'version'
  readonly help: string
  readonly problems: readonly ConfigProblem[]
}

const SOURCE = 'command line'
const HELP_WIDTH = 110

/** `--relay-servers`. */
export const longFlag = ({ variable }: Pick<Setting<unknown>, 'variable'>): string =>
  `--${variable.toLowerCase().replaceAll('_', '-')}`

/** `-r, --relay-servers`. */
export const flagNames = (setting: Setting<unknown>): string =>
  `${setting.flag?.short ? `-${setting.flag.short}, ` : ''}${longFlag(setting)}`

/** Reads a command line completely: what it cannot use is listed, nothing is thrown. */
export function readCommandLine(program: Program, argv: readonly string[]): CommandLine {
  const problems: ConfigProblem[] = []
  const values = new Map<string, Given>()
  const command = new Command(program.name).description(program.description).helpOption(false).exitOverride()
  command.configureOutput({ writeErr: () => {}, getOutHelpWidth: () => HELP_WIDTH })

  const flags = new Set(['-h', '--help', '-V', '--version'])
  const addValueFlag = (flagsText: string, description: string, take: (value: string, flag: string) => void) => {
    const option = new Option(flagsText, description)
    for (const flag of [option.short, option.long]) if (flag) flags.add(flag)
    command.addOption(option)
    command.on(`option:${option.name()}`, (value: string) => take(value, option.long ?? flagsText))
  }
  let configFile: string | undefined
  if (program.configFile === 'accepted') {
    addValueFlag('-c, --config <file>', 'INI file with settings', (value) => {
      configFile = value
    })
  }
  for (const setting of Object.values(program.settings)) {
    const { variable, meaning, secret } = setting
    const take = (name: string) => (value: string, flag: string) => {
      if (flags.has(value) && value.startsWith('--')) {
        problems.push({ setting: flag, source: SOURCE, remedy: `needs a value before ${value}` })
      }
      values.set(normaliseName(name), { name: flag, text: value })
    }
    addValueFlag(`${flagNames(setting)} <${setting.flag?.value ?? 'value'}>`, firstSentence(meaning), take(variable))
    if (secret)
      addValueFlag(`${longFlag(setting)}-file <file>`, `File that holds ${variable}`, take(`${variable}_FILE`))
  }
  command.option('-h, --help', 'Show this text').option('-V, --version', 'Show the version')

  // clap, whose command lines are taken over, also reads -p=21116.
  const rest = argv.flatMap((word) => {
    const match = /^(-[A-Za-z])=(.*)$/s.exec(word)
    return match?.[1] && flags.has(match[1]) ? [match[1], match[2] ?? ''] : [word]
  })
  const unknown = parseAsFarAsPossible(command, rest, problems)
  for (const [index, word] of unknown.entries()) {
    if (word.startsWith('-') && word.length > 1) {
      const nearest = nearestName(word.replace(/=.*$/s, ''), flags)
      problems.push({
        setting: word.replace(/=.*$/s, ''),
        source: SOURCE,
        remedy: `is not known; did you mean ${nearest}?`,
      })
    } else if (!unknown[index - 1]?.startsWith('-')) {
      problems.push({ setting: word, source: SOURCE, remedy: 'belongs to no flag; see --help' })
    }
  }
  const options = command.opts()
  return {
    source: { kind: 'flags', title: SOURCE, values },
    configFile,
    wants: options.help ? 'help' : options.version ? 'version' : 'run',
    help: `${command.helpInformation()}\nEvery flag is a variable, too (--relay-servers: RELAY_SERVERS); docs/configuration.md has more on each.\n`,
    problems,
  }
}

/** Only the last flag can lack its value; the others are read all the same. */
function parseAsFarAsPossible(command: Command, argv: readonly string[], problems: ConfigProblem[]): string[] {
  try {
    const { operands, unknown } = command.parseOptions([...argv])
    return [...operands, ...unknown]
  } catch (error) {
    const flag = argv.at(-1)
    if (!(error instanceof CommanderError) || flag === undefined) throw error
    problems.push({ setting: flag, source: SOURCE, remedy: 'needs a value' })
    return parseAsFarAsPossible(command, argv.slice(0, -1), problems)
  }
}

const firstSentence = (text: string) =>
  text
    .replace(/\. .*$/s, '')
    .replace(/\.$/, '')
    .replaceAll('`', '')
