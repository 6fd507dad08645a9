import { parseArgs } from 'node:util'

export interface SimulationOptions {
  readonly devices: number
  readonly nodesPerRegion: number
  readonly seed: number
  /** Share of datagrams that are lost. */
  readonly loss: number
  /** How often a device gets another address in a day, and how often it goes off and on. */
  readonly churnPerDay: number
  /** Controllers that ask for a device, each second, all together. */
  readonly punchesPerSecond: number
  /** How long the fleet is watched before something breaks, and after each fault. */
  readonly steadySeconds: number
  readonly format: 'text' | 'json'
}

export const USAGE = `usage: npm run simulate -- [--devices N] [--nodes N] [--seed N] [--loss P] [--churn N] [--punches N] [--steady S] [--json]

  --devices   100000 unless given; 300 to 10000000. A million takes ten minutes and 3.2 GB
  --nodes     ID servers in each of the three regions: 3; 2 to 20
  --seed      decides everything that is random: 1
  --loss      share of datagrams that the network loses: 0.005
  --churn     how often a device gets another address in a day, and how often it goes off and on: 4
  --punches   controllers that ask for a device in a second: 50
  --steady    seconds that the fleet is watched before something breaks: 60
  --json      figures as JSON`

/** @throws with the offender and the usage */
export function parseOptions(argv: readonly string[]): SimulationOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      devices: { type: 'string', default: '100000' },
      nodes: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      loss: { type: 'string', default: '0.005' },
      churn: { type: 'string', default: '4' },
      punches: { type: 'string', default: '50' },
      steady: { type: 'string', default: '60' },
      json: { type: 'boolean', default: false },
    },
  })
  return {
    devices: Math.round(within('devices', values.devices, 300, 10_000_000)),
    nodesPerRegion: Math.round(within('nodes', values.nodes, 2, 20)),
    seed: Math.round(within('seed', values.seed, 0, 2 ** 32 - 1)),
    loss: within('loss', values.loss, 0, 0.5),
    churnPerDay: within('churn', values.churn, 0, 10_000),
    punchesPerSecond: within('punches', values.punches, 0, 1_000),
    steadySeconds: within('steady', values.steady, 5, 3_600),
    format: values.json ? 'json' : 'text',
  }
}

function within(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (value >= min && value <= max) return value
  throw new Error(`--${name} ${text}: use a number from ${min} to ${max}\n${USAGE}`)
}
