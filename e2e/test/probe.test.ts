import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { freePort } from '../src/site/free-ports.ts'
import { Site } from '../src/site/site.ts'
import { startStandalone } from '../src/site/standalone-process.ts'
import { waitUntil } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const ROUND_MS = 60_000
const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each.stop()
})

async function siteWith(programs: readonly 'hbbs'[], env: Readonly<Record<string, string>>): Promise<Site> {
  const site = await Site.start({ programs, hbbs: { env } })
  running.push({ stop: () => site.close() })
  return site
}

/** What /readyz says once each transport was tried. */
function probed(metricsPort: number): Promise<{ status: number; lines: string[] }> {
  return waitUntil(
    'every transport was probed',
    async () => {
      const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`)
      const lines = (await answer.text()).trim().split('\n')
      return lines.length === 4 && { status: answer.status, lines }
    },
    ROUND_MS,
  )
}

/** `udp register` to 1, and so on. */
async function stepsOf(metricsPort: number): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  const found = text.matchAll(/^tryst_probe_ok\{transport="(\w+)",step="(\w+)"\} (\d)$/gm)
  return Object.fromEntries([...found].map(([, transport, step, value]) => [`${transport} ${step}`, Number(value)]))
}

describe('PROBE=Y', () => {
  it('tries every door of an npm start, though nobody may register', async () => {
    const site = await siteWith([], {})
    const metricsPort = await freePort()
    const env = { PROBE: 'Y', ACCESS_MODE: 'invite', METRICS_BIND: `127.0.0.1:${metricsPort}` }
    running.push(await startStandalone(site, env))
    expect(await probed(metricsPort)).toEqual({
      status: 200,
      lines: ['ready', 'probe udp: ok', 'probe tcp: ok', 'probe websocket: ok'],
    })
    expect(await stepsOf(metricsPort)).toEqual({
      ...{ 'udp register': 1, 'udp punch': 1, 'udp relay': 1, 'udp echo': 1 },
      ...{ 'tcp register': 1, 'tcp punch': 1, 'tcp relay': 1, 'tcp echo': 1 },
      ...{ 'websocket register': 1, 'websocket relay': 1, 'websocket echo': 1 },
    })
  })

  it('tells what fails, which leaves the node ready', async () => {
    const metricsPort = await freePort()
    // There is no relay.
    const site = await siteWith(['hbbs'], { PROBE: 'Y', METRICS_BIND: `127.0.0.1:${metricsPort}` })
    const { status, lines } = await probed(metricsPort)
    expect(status).toBe(200)
    expect(lines).toEqual([
      'ready',
      ...['udp', 'tcp', 'websocket'].map((one) => expect.stringMatching(`^probe ${one}: failed, relay: `)),
    ])
    expect(await stepsOf(metricsPort)).toMatchObject({ 'udp register': 1, 'udp punch': 1, 'udp relay': 0 })
    expect(await site.hbbs.logged(/the probe fails/)).toMatchObject({ level: 'warn' })
  })

  const onRedis = NO_REDIS === undefined ? it : it.skip
  onRedis(
    `tries every door of two nodes on Redis, each with devices of its own (${NO_REDIS ?? 'with Redis'})`,
    async () => {
      const cluster = await Cluster.start({ hbbr: 1, env: { PROBE: 'Y' } })
      running.push({ stop: () => cluster.close() })
      for (const node of cluster.hbbs) {
        const done = () => node.figure('tryst_probes_total').then((probes) => probes >= 3)
        await waitUntil(`${node.name} has probed itself`, done, ROUND_MS)
        expect(node.process.log.filter(({ msg }) => /probe/.test(msg))).toEqual([])
        expect(await node.figure('tryst_probe_ok')).toBe(11)
      }
    },
  )
})
