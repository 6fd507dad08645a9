import { jest } from '@jest/globals'
import { describeTurmoil } from '../src/cluster/turmoil-suite.ts'

jest.setTimeout(180_000)

describeTurmoil('three ID servers and two relays, one of which dies every 20 s', {
  ...{ devices: 100, addresses: 50, controllers: 8 },
  ...{ durationMs: 70_000, killEveryMs: 20_000, awayMs: 5_000, seed: 7 },
})
