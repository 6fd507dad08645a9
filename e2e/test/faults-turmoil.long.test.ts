import { jest } from '@jest/globals'
import { describeTurmoil } from '../src/cluster/turmoil-suite.ts'

jest.setTimeout(600_000)

describeTurmoil('three ID servers and two relays, one of which dies every 30 s for 5 min', {
  ...{ devices: 500, addresses: 250, controllers: 20 },
  ...{ durationMs: 300_000, killEveryMs: 30_000, awayMs: 5_000, seed: Number(process.env.TURMOIL_SEED ?? 1) },
})
