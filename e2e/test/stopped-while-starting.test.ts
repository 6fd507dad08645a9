import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const CLEAN = { code: 0, signal: null }
const ENDS_WITHIN_MS = 20_000
const suite = NO_REDIS === undefined ? describe : describe.skip
const why = NO_REDIS === undefined ? '' : ` (${NO_REDIS})`

/** Lines that a program logs on its way to its open ports. */
const MOMENTS = [/^Key: /, /^taking part as a node$/, /^node seen$/, /^listening$|^Start$/]

suite(`a program that is told to stop while it starts${why}`, () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start({ hbbs: 1, hbbr: 1 })
  })
  afterAll(() => cluster?.close())

  it.each((['hbbs', 'hbbr'] as const).flatMap((program) => MOMENTS.map((moment) => [program, moment] as const)))(
    'ends with 0: %s at %s',
    async (program, moment) => {
      const node = await cluster.add(program)
      await node.stop()
      const launched = node.launch()
      await launched.logged(moment)
      launched.signal('SIGTERM')
      expect(await within('the program ends', launched.exited, ENDS_WITHIN_MS)).toEqual(CLEAN)
      expect(launched.log.filter(({ msg }) => /fail|cannot|start again/.test(msg))).toEqual([])
    },
  )

  it.each(['hbbs', 'hbbr'] as const)('ends with 0 when it has workers: %s', async (program) => {
    const node = await cluster.add(program)
    await node.stop()
    const launched = node.launch({ WORKERS: '2' })
    await launched.logged(/^taking part as a node$/)
    launched.signal('SIGTERM')
    expect(await within('the program ends', launched.exited, ENDS_WITHIN_MS)).toEqual(CLEAN)
  })
})
