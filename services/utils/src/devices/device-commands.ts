import { type Administration, DEVICE_STATES, type DeviceRow, type Done } from '@tryst/device-admin'
import { type Command, Option } from 'commander'
import type { CommandResult } from '../command-result.ts'
import { printable, table, timeText } from './table.ts'

/** How the commands reach the devices and say what they did. */
export interface DeviceCommandContext {
  /** Runs a command with what it was told about where the devices are. */
  readonly run: (
    command: Command,
    act: (administration: Administration, output: 'json' | 'text') => Promise<CommandResult>,
  ) => Promise<void>
  /** Takes what comes before the end. */
  readonly print: (text: string) => void
}

/** A table of more would scroll away; `--json` has no such bound. */
const ROWS_AT_ONCE = 200
const RETRY = 'it registers at its next try, within 30 s'

/** `tryst devices …` (docs/access.md). */
export function addDeviceCommands(devices: Command, { run, print }: DeviceCommandContext): void {
  const list = devices
    .command('list')
    .description('Show the devices: first those that wait for a word, last those that are registered')
    .addOption(new Option('--state <state>', 'Only those in one state').choices(DEVICE_STATES))
    .action((options: { readonly state?: DeviceRow['state'] }) =>
      run(list, (administration, output) => listDevices(administration.list(options.state), output, print)),
    )
  for (const [verdict, description] of [
    ['approve', 'Let a device in that waits'],
    ['refuse', 'Turn a device away that waits, or was approved and has not registered yet'],
  ] as const) {
    const command = devices
      .command(`${verdict} <id>`)
      .description(description)
      .option('--fingerprint <digits>', 'Of its uuid or the beginning of that, where several devices ask for the ID')
      .action((id: string, options: { readonly fingerprint?: string }) =>
        run(command, async (administration, output) => {
          const device = await administration[verdict](id, options.fingerprint)
          const said = verdict === 'approve' ? `approved: ${RETRY}` : 'refused: it is not listed again'
          return done(output, device, `${id} (uuid ${device.uuid.slice(0, 12)}, from ${device.ip}) is ${said}`)
        }),
      )
  }
  const invite = devices
    .command('invite <id>')
    .description('Let the first device in that asks for an ID')
    .option('--note <text>', 'What to remember of it')
    .action((id: string, options: { readonly note?: string }) =>
      run(invite, async (administration, output) => {
        const { mode } = await administration.invite(id)
        if (options.note !== undefined) await administration.note(id, options.note)
        const hint = mode === 'open' ? ' (ACCESS_MODE is open: every device may register without)' : ''
        return done(output, { id, mode }, `${id} is invited: the first device that asks for it gets it${hint}`)
      }),
    )
  const remove = devices
    .command('remove <id>')
    .description('Forget a device, an invitation, or what was said about an ID')
    .action((id: string) =>
      run(remove, async (administration, output) =>
        told(output, { id, ...(await administration.remove(id)) }, `${id} is removed`),
      ),
    )
  const rename = devices
    .command('rename <id> <new-id>')
    .description('Give a device that is off another ID, which has to be set on it too')
    .action((id: string, to: string) =>
      run(rename, async (administration, output) =>
        told(
          output,
          { id, to, ...(await administration.rename(id, to)) },
          `${id} is ${to} now: set that on the device before it comes back, or it takes ${id} back`,
        ),
      ),
    )
  const note = devices
    .command('note <id> [text]')
    .description('Remember something of a device; without a text: forget it')
    .action((id: string, text = '') =>
      run(note, async (administration, output) => {
        await administration.note(id, text)
        return done(output, { id, note: text }, text === '' ? `${id} has no note` : `${id}: ${text}`)
      }),
    )
}

export function done(output: 'json' | 'text', result: object, text: string): CommandResult {
  return { output: output === 'json' ? `${JSON.stringify(result)}\n` : `${printable(text)}\n`, status: 0 }
}

/** What was done stands; whoever was not told goes on with what it remembers. */
function told(
  output: 'json' | 'text',
  result: Done & { readonly id: string; readonly to?: string },
  text: string,
): CommandResult {
  const said = done(output, result, text)
  if (result.untold === undefined) return said
  const warning =
    output === 'json'
      ? ''
      : `WARNING: not every server could be told (${printable(result.untold)}). One that holds the device goes on ` +
        'serving it until it restarts or the device has been silent for 30 s: run the command in the folder of a server\n'
  return { output: said.output + warning, status: 2 }
}

async function listDevices(
  rows: AsyncIterable<DeviceRow>,
  output: 'json' | 'text',
  print: (text: string) => void,
): Promise<CommandResult> {
  return output === 'json' ? listAsJson(rows, print) : listAsTables(rows, print)
}

async function listAsJson(rows: AsyncIterable<DeviceRow>, print: (text: string) => void): Promise<CommandResult> {
  let before = '[\n'
  for await (const { sinceMs, lastSeenMs, ...row } of rows) {
    const times = { since: isoTime(sinceMs), lastSeen: isoTime(lastSeenMs) }
    print(`${before}  ${JSON.stringify({ ...row, ...times })}`)
    before = ',\n'
  }
  return { output: before === '[\n' ? '[]\n' : '\n]\n', status: 0 }
}

async function listAsTables(rows: AsyncIterable<DeviceRow>, print: (text: string) => void): Promise<CommandResult> {
  let page: DeviceRow[] = []
  let count = 0
  for await (const row of rows) {
    count++
    if (page.push(row) < ROWS_AT_ONCE) continue
    print(tableOf(page))
    page = []
  }
  if (count === 0) return { output: 'no devices\n', status: 0 }
  return { output: page.length === 0 ? '' : tableOf(page), status: 0 }
}

const tableOf = (rows: readonly DeviceRow[]) =>
  table(
    ['ID', 'STATE', 'ONLINE', 'ADDRESS', 'SINCE (UTC)', 'LAST ASKED (UTC)', 'UUID', 'NOTE'],
    rows.map(({ id, state, online, ip, sinceMs, lastSeenMs, uuid = '', note, why }) => [
      ...[id, state, online === undefined ? '-' : online ? 'yes' : 'no', ip || '-', timeText(sinceMs)],
      ...[timeText(lastSeenMs), uuid.slice(0, 12) || '-', why === 'key-changed' ? `(new key) ${note}` : note],
    ]),
  )

const isoTime = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString())
