import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { waitUntil } from '../site/wait-until.ts'

const PROGRAM = resolve(import.meta.dirname, '../../../services/utils/bin/tryst')

/** One attempt as `tryst trace --json` tells it. */
export interface ToldAttempt {
  readonly code: string
  readonly id: string
  readonly asked?: { readonly kind: string; readonly from: string; readonly over: string }
  readonly outcome: string
  readonly steps: readonly {
    readonly time: string
    readonly at: string
    readonly role: string
    readonly step: string
    readonly what?: string
    readonly over?: string
    readonly node?: string
    readonly bytes?: number
  }[]
  readonly related: readonly string[]
}

/** What `tryst trace` prints, run as an operator does. Rejects where it ends with another status than 0. */
export async function trace(...args: readonly string[]): Promise<string> {
  const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` }
  return (await promisify(execFile)(PROGRAM, ['trace', ...args], { cwd: tmpdir(), env })).stdout
}

/** The attempt that satisfies, once everybody has written down what it saw. */
export async function tracedAttempt(
  where: readonly string[],
  isWhole: (attempt: ToldAttempt) => boolean,
): Promise<ToldAttempt> {
  let found: ToldAttempt | undefined
  await waitUntil(
    'an attempt is written down as a whole',
    async () => {
      const attempts = JSON.parse(await trace('--last', '50', '--json', ...where)) as ToldAttempt[]
      found = attempts.find(isWhole)
      return found !== undefined
    },
    20_000,
  )
  if (!found) throw new Error('nothing was found')
  return found
}

/** Who saw what, in order. */
export const storyOf = ({ steps }: ToldAttempt): string[] => steps.map(({ at, step }) => `${at} ${step}`)
