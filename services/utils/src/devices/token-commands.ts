import type { TokenRow } from '@tryst/device-admin'
import type { Command } from 'commander'
import { UsageError } from '../shared-redis.ts'
import { type DeviceCommandContext, done } from './device-commands.ts'
import { durationMs } from './duration.ts'
import { table, timeText } from './table.ts'

/** `tryst deploy-token …` (docs/access.md). */
export function addTokenCommands(tokens: Command, { run }: DeviceCommandContext): void {
  const create = tokens
    .command('create [name]')
    .description('Make a token with which devices deploy themselves; it is shown this once')
    .option('--uses <number>', 'How many devices may be deployed with it; default: any number')
    .option('--expires <duration>', 'When it lapses: 30m, 12h, 7d, 4w; default: never')
    .action((name: string | undefined, options: { readonly uses?: string; readonly expires?: string }) =>
      run(create, async (administration, output) => {
        const uses = options.uses === undefined ? undefined : usesOf(options.uses)
        const lifetimeMs = options.expires === undefined ? undefined : durationMs(options.expires)
        const created = await administration.createToken({ name, uses, lifetimeMs })
        if (output === 'json') return done(output, asJson(created), '')
        const text =
          `${created.token}\n\nThis is the only time that it is shown. On a device: rustdesk --deploy --token TOKEN\n` +
          `Name ${created.name}, ${limitsOf(created)}\n`
        return { output: text, status: 0 }
      }),
    )
  const list = tokens
    .command('list')
    .description('Show the deploy tokens, without the tokens themselves')
    .action(() =>
      run(list, async (administration, output) => {
        const rows = await administration.tokens()
        if (output === 'json') return { output: `${JSON.stringify(rows.map(asJson), null, 2)}\n`, status: 0 }
        return { output: rows.length === 0 ? 'no deploy tokens\n' : tableOf(rows), status: 0 }
      }),
    )
  const revoke = tokens
    .command('revoke <name>')
    .description('Make a token useless; devices that were deployed with it stay')
    .action((name: string) =>
      run(revoke, async (administration, output) => {
        await administration.revokeToken(name)
        return done(output, { name }, `${name} is revoked`)
      }),
    )
}

function usesOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${text} is no number of devices: write 1 or more`)
  return Number(text)
}

const limitsOf = ({ usesLeft, expiresMs }: TokenRow) =>
  `${usesLeft === undefined ? 'for any number of devices' : `for ${usesLeft} ${usesLeft === 1 ? 'device' : 'devices'}`}, ` +
  (expiresMs === undefined ? 'until it is revoked' : `until ${timeText(expiresMs)} UTC`)

const asJson = ({ createdMs, expiresMs, ...token }: TokenRow & { readonly token?: string }) => ({
  ...token,
  created: new Date(createdMs).toISOString(),
  ...(expiresMs === undefined ? {} : { expires: new Date(expiresMs).toISOString() }),
})

const tableOf = (rows: readonly TokenRow[]) =>
  table(
    ['NAME', 'USED', 'LEFT', 'CREATED (UTC)', 'EXPIRES (UTC)'],
    rows.map(({ name, used, usesLeft, createdMs, expiresMs }) => [
      ...[name, String(used), usesLeft === undefined ? 'any' : String(usesLeft)],
      ...[timeText(createdMs), expiresMs === undefined ? 'never' : timeText(expiresMs)],
    ]),
  )
