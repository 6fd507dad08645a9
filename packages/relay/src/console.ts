import type { AddressList } from './address-list.ts'
import type { Bandwidth } from './bandwidth.ts'
import type { UsageRecord } from './usage.ts'

/** What the console reads and changes. */
export interface ConsoleFacts {
  readonly bandwidth: Bandwidth
  readonly blocklist: AddressList
  readonly blacklist: AddressList
  setTotalMegabits(megabits: number): void
  usage(): readonly UsageRecord[]
}

interface Command {
  readonly long: string
  readonly short: string
  /** As the help shows it. */
  readonly argument: string
  run(facts: ConsoleFacts, argument: string | undefined): string
}

type NumberName = 'downgradeThreshold' | 'limitedMegabits' | 'singleMegabits'

const line = (text: string | number | boolean): string => `${text}\n`

function listCommands(name: string, short: string, list: (facts: ConsoleFacts) => AddressList): Command[] {
  return [
    {
      long: `${name}-add`,
      short: `${short}a`,
      argument: '<ip>',
      run(facts, argument = '') {
        for (const entry of argument.split('|')) list(facts).add(entry)
        return ''
      },
    },
    {
      long: `${name}-remove`,
      short: `${short}r`,
      argument: '<ip>',
      run(facts, argument = '') {
        if (argument === 'all') list(facts).clear()
        else for (const entry of argument.split('|')) list(facts).remove(entry)
        return ''
      },
    },
    {
      long: name,
      short,
      argument: '<ip>',
      run(facts, argument) {
        if (argument !== undefined) return line(list(facts).includes(argument))
        return list(facts).entries.map(line).join('')
      },
    },
  ]
}

/** A number that is shown without an argument and set with one. */
function numberCommand(
  names: { readonly long: string; readonly short: string; readonly argument: string; readonly unit: string },
  read: (facts: ConsoleFacts) => number,
  write: (facts: ConsoleFacts, value: number) => void,
  parse: (text: string) => number | undefined,
): Command {
  return {
    ...names,
    run(facts, argument) {
      if (argument === undefined) return line(`${read(facts)}${names.unit}`)
      const value = parse(argument)
      if (value !== undefined) write(facts, value)
      return ''
    },
  }
}

const settingCommand = (long: string, short: string, name: NumberName): Command =>
  numberCommand(
    {
      long,
      short,
      argument: name === 'downgradeThreshold' ? '[value]' : '[value(Mb/s)]',
      unit: name === 'downgradeThreshold' ? '' : 'Mb/s',
    },
    ({ bandwidth }) => bandwidth[name],
    ({ bandwidth }, value) => {
      bandwidth[name] = value
    },
    positiveNumber,
  )

/** In the order of the help (docs/operating.md, console). */
const COMMANDS: readonly Command[] = [
  ...listCommands('blacklist', 'b', (facts) => facts.blacklist),
  ...listCommands('blocklist', 'B', (facts) => facts.blocklist),
  settingCommand('downgrade-threshold', 'dt', 'downgradeThreshold'),
  numberCommand(
    { long: 'downgrade-start-check', short: 't', argument: '[value(second)]', unit: 's' },
    ({ bandwidth }) => bandwidth.downgradeStartSeconds,
    ({ bandwidth }, value) => {
      bandwidth.downgradeStartSeconds = value
    },
    positiveInteger,
  ),
  settingCommand('limit-speed', 'ls', 'limitedMegabits'),
  numberCommand(
    { long: 'total-bandwidth', short: 'tb', argument: '[value(Mb/s)]', unit: 'Mb/s' },
    ({ bandwidth }) => bandwidth.totalMegabits,
    (facts, value) => facts.setTotalMegabits(value),
    positiveNumber,
  ),
  settingCommand('single-bandwidth', 'sb', 'singleMegabits'),
  {
    long: 'usage',
    short: 'u',
    argument: '',
    run: (facts) => facts.usage().map(usageLine).join(''),
  },
]

/** Answers one line of the console; a command that is not known answers nothing. */
export function runConsoleCommand(text: string, facts: ConsoleFacts): string {
  const [name, argument] = text.trim().split(' ')
  if (name === 'h') return COMMANDS.map((command) => line(helpOf(command))).join('')
  const command = COMMANDS.find(({ long, short }) => name === long || name === short)
  return command ? command.run(facts, argument) : ''
}

const helpOf = ({ long, short, argument }: Command): string => `${long}(${short}) ${argument}`.trimEnd()

/** Speeds are whole bits per millisecond, which the console calls kb/s. */
function usageLine({ remote, ageMs, totalBits, highestBitsPerMs, lastBitsPerMs }: UsageRecord): string {
  const totalMegabytes = (totalBits / 8 / 1024 / 1024).toFixed(2)
  const average = ageMs > 0 ? Math.trunc(totalBits / ageMs) : 0
  const speeds = `${highestBitsPerMs}kb/s ${average}kb/s ${lastBitsPerMs}kb/s`
  return line(`${remote.ip}:${remote.port}: ${Math.trunc(ageMs / 1000)}s ${totalMegabytes}MB ${speeds}`)
}

function positiveNumber(text: string): number | undefined {
  if (!/^\+?(\d+\.?\d*|\.\d+)$/.test(text)) return undefined
  const value = Number(text)
  return value > 0 && Number.isFinite(value) ? value : undefined
}

function positiveInteger(text: string): number | undefined {
  if (!/^\+?\d+$/.test(text)) return undefined
  const value = Number(text)
  return value > 0 && Number.isSafeInteger(value) ? value : undefined
}
