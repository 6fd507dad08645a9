import { parseIp } from '@tryst/protocol'
import type { RelayChooser } from './choose-relay.ts'
import type { Introducer } from './introducer.ts'
import type { IpChanges } from './ip-changes.ts'
import type { PunchLog } from './punch-log.ts'
import type { RegistrationLimiter } from './registration-limits.ts'

/** What the text console shows and changes. */
export interface ConsoleSubjects {
  readonly relays: RelayChooser
  readonly limiter: RegistrationLimiter
  readonly ipChanges: IpChanges
  readonly punchLog: PunchLog
  readonly introducer: Introducer
  /** Replaces the relay list after looking its names up. */
  readonly replaceRelays: (relays: readonly string[]) => void
}

type Command = (subjects: ConsoleSubjects, args: readonly string[], nowMs: number) => string

const PAGE = 10
/** A number above this is an id, not a position in a list. */
const LARGEST_POSITION = 10_000_000

const lines = (list: readonly string[]) => list.map((line) => `${line}\n`).join('')
const seconds = (ms: number) => `${Math.floor(ms / 1000)}s`
const numberOf = (text: string | undefined) => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined)

const relayServers: Command = ({ relays, replaceRelays }, [list]) => {
  if (list === undefined || list === '') return lines(relays.live)
  replaceRelays(list.split(',').filter((relay) => relay !== ''))
  return ''
}

const ipBlocker: Command = ({ limiter }, [what, action], nowMs) => {
  const reports = limiter.report(nowMs)
  const text = (report: (typeof reports)[number]) =>
    `${report.count}/${seconds(report.countAgeMs)} ${report.ids}/${seconds(report.idsAgeMs)}`
  const head = `${reports.length}\n`
  const start = numberOf(what) ?? (what === undefined || what === '' ? 0 : undefined)
  if (start !== undefined) return head + lines(reports.slice(start, start + PAGE).map((r) => `${r.source}: ${text(r)}`))
  const found = reports.find(({ source }) => source === what)
  if (action === '-') limiter.forgive(what ?? '')
  return found ? `${head}${text(found)}\n` : head
}

const ipChangesCommand: Command = ({ ipChanges }, [what, action], nowMs) => {
  const reports = ipChanges.report(nowMs)
  const head = `${reports.length}\n`
  const number = numberOf(what)
  const start =
    what === undefined || what === '' ? 0 : number !== undefined && number <= LARGEST_POSITION ? number : undefined
  if (start !== undefined)
    return head + lines(reports.slice(start, start + PAGE).map(({ id, text }) => `${id}: ${text}`))
  const found = reports.find(({ id }) => id === what)
  if (action === '-') ipChanges.remove(what ?? '')
  return found ? `${head}${found.text}\n` : head
}

const punchRequests: Command = ({ punchLog }, [start, size]) => {
  if (start === '-') {
    punchLog.clear()
    return ''
  }
  return lines(punchLog.page(numberOf(start) ?? 0, numberOf(size) || PAGE))
}

const alwaysUseRelay: Command = ({ introducer }, [value]) => {
  if (value === undefined || value === '') return `ALWAYS_USE_RELAY: ${introducer.alwaysUseRelay}\n`
  introducer.alwaysUseRelay = value.toUpperCase() === 'Y'
  return ''
}

const testGeo: Command = ({ relays }, [first, second]) => {
  const isIp = (text: string | undefined): text is string => text !== undefined && parseIp(text) !== undefined
  return isIp(first) && (second === undefined || isIp(second)) ? `"${relays.next(first)}"` : ''
}

const COMMANDS: readonly { long: string; short: string; args: string; run: Command }[] = [
  { long: 'relay-servers', short: 'rs', args: '<separated by ,>', run: relayServers },
  { long: 'reload-geo', short: 'rg', args: '', run: () => '' },
  { long: 'ip-blocker', short: 'ib', args: '[<ip>|<number>] [-]', run: ipBlocker },
  { long: 'ip-changes', short: 'ic', args: '[<id>|<number>] [-]', run: ipChangesCommand },
  { long: 'punch-requests', short: 'pr', args: '[<number>] [-]', run: punchRequests },
  { long: 'always-use-relay', short: 'aur', args: '', run: alwaysUseRelay },
  { long: 'test-geo', short: 'tg', args: '<ip1> <ip2>', run: testGeo },
]

/** Answers one line of the console (docs/operating.md, console). Unknown commands get an empty answer. */
export function runConsoleCommand(line: string, subjects: ConsoleSubjects, nowMs: number): string {
  const [name, ...args] = line.trim().split(' ')
  if (name === 'h') {
    return lines(COMMANDS.map(({ long, short, args }) => `${long}(${short})${args === '' ? '' : ` ${args}`}`))
  }
  const command = COMMANDS.find(({ long, short }) => name === long || name === short)
  return command ? command.run(subjects, args, nowMs) : ''
}
