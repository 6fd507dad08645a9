import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly devices: number
  /** How long each rate is measured in each round. */
  readonly seconds: number
  readonly rounds: number
  readonly only: 'id' | 'relay' | 'cluster' | undefined
  /** When it is up, what has been measured is printed and everything ends. */
  readonly limitSeconds: number
}

export const USAGE = `usage: npm run bench -- [--devices N] [--seconds S] [--rounds N] [--only id|relay|cluster] [--limit SECONDS]

  --devices   registered devices, 100000 unless given; 500 to 5000000
  --seconds   how long each rate is measured in each round: 2; 0.2 to 20
  --rounds    rounds, of which the medians are shown: 3; 1 to 20
  --only      the ID server's figures, the relay's, or those of several nodes
  --limit     seconds after which it ends, whatever is missing: 480`

/** @throws with the offender and the usage */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      devices: { type: 'string', default: '100000' },
      seconds: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      limit: { type: 'string', default: '480' },
    },
  })
  const { only } = values
  if (only !== undefined && only !== 'id' && only !== 'relay' && only !== 'cluster')
    throw new Error(`--only ${only}: use id, relay or cluster\n${USAGE}`)
  return {
    devices: Math.round(within('devices', values.devices, 500, 5_000_000)),
    // Devices are online for 30 s after they were last heard.
    seconds: within('seconds', values.seconds, 0.2, 20),
    rounds: Math.round(within('rounds', values.rounds, 1, 20)),
    limitSeconds: within('limit', values.limit, 5, 3600),
    only,
  }
}

function within(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (value >= min && value <= max) return value
  throw new Error(`--${name} ${text}: use a number from ${min} to ${max}\n${USAGE}`)
}
