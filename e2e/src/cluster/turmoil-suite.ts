import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { report } from '../site/report.ts'
import { Cluster } from './cluster.ts'
import { NO_REDIS } from './redis-process.ts'
import { Turmoil, type TurmoilOptions } from './turmoil.ts'

const LEAST_SHARE = 0.8

/** Both the short and the long form of the test. */
export function describeTurmoil(title: string, options: TurmoilOptions): void {
  const suite = NO_REDIS === undefined ? describe : describe.skip
  suite(`${title}${NO_REDIS ? ` (${NO_REDIS})` : ''}`, () => {
    let cluster: Cluster
    beforeAll(async () => {
      cluster = await Cluster.start({ address: 'shared', hbbs: 3, hbbr: 2 })
      await cluster.haveMet()
    })
    afterAll(() => cluster?.close())

    it('lets every attempt succeed that no death explains', async () => {
      const turmoil = new Turmoil(cluster, options)
      await turmoil.run()
      const { attempts, deaths } = turmoil
      const failed = attempts.filter(({ failure }) => failure !== undefined)
      const unexplained = failed.filter((attempt) => turmoil.explanationOf(attempt) === undefined)
      const share = 1 - failed.length / attempts.length
      report({
        ...{ seed: options.seed, deaths: deaths.length, attempts: attempts.length },
        ...{ failed: failed.length, unexplained: unexplained.length, share },
      })
      // What happened is needed to judge what failed.
      expect({ deaths, unexplained }).toEqual({ deaths, unexplained: [] })
      expect(share).toBeGreaterThanOrEqual(LEAST_SHARE)
      expect(deaths.length).toBeGreaterThan(0)
    })
  })
}
