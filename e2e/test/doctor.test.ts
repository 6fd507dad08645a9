import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { type Certificates, prepare } from '../src/browser/certificates.ts'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { type DoctorRun, runDoctor } from '../src/doctor/doctor.ts'
import { SmallProxy, type SmallProxyOptions } from '../src/doctor/small-proxy.ts'
import { ServiceProcess } from '../src/site/service-process.ts'
import { SITE_HOST, Site, type SiteOptions } from '../src/site/site.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const OTHER_KEY = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='

const closing: { close(): unknown }[] = []
const closeLater = <T extends { close(): unknown }>(what: T): T => {
  closing.unshift(what)
  return what
}
afterEach(async () => {
  for (const each of closing.splice(0)) await each.close()
})

const startSite = async (options?: SiteOptions): Promise<Site> => closeLater(await Site.start(options))

const examineSite = ({ ports, key }: Site, ...flags: string[]): Promise<DoctorRun> =>
  runDoctor([SITE_HOST, '--port', `${ports.main}`, ...(flags.includes('--key') ? [] : ['--key', key]), ...flags])

function expectFine({ status, leftOut, findings }: DoctorRun): void {
  const faults = findings.filter(({ severity }) => severity !== 'ok')
  expect({ status, faults, leftOut }).toEqual({ status: 0, faults: [], leftOut: [] })
}

/** What is to come first, and that the operator is told what to do. */
function expectCause(run: DoctorRun, code: string): void {
  expect({ faults: run.faults.slice(0, 1), status: run.status, all: run.faults, output: run.output }).toMatchObject({
    faults: [code],
    status: 1,
  })
  for (const { severity, remedy } of run.findings) expect(severity === 'ok' || remedy !== '').toBe(true)
}

describe('tryst doctor finds nothing wrong', () => {
  it('with a server and its API, whose status page tells it the key', async () => {
    const { ports } = await startSite({ programs: ['hbbs', 'hbbr', 'api'] })
    const { status, faults, leftOut, findings } = await runDoctor([SITE_HOST, '--port', `${ports.main}`])
    expect({ status, faults, leftOut }).toEqual({ status: 0, faults: [], leftOut: [] })
    expect(findings.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['a session through the relay works', 'a session works', 'the clocks agree']),
    )
  })

  it('with a server without an API, whose key is in the folder', async () => {
    const { ports, folder } = await startSite()
    const run = await runDoctor([SITE_HOST, '--port', `${ports.main}`], { cwd: folder })
    expect({ status: run.status, faults: run.faults }).toEqual({ status: 0, faults: [] })
    expect(run.output).toContain('from the key files in ')
  })
})

describe('the first that tryst doctor finds is', () => {
  it.each([[[]], [['--ws-only']]])('the wrong key: %j', async (flags) => {
    const site = await startSite()
    const run = await examineSite(site, '--key', OTHER_KEY, ...flags)
    expectCause(run, 'key-wrong')
    expect(run.faults).toEqual(['key-wrong'])
  })

  it('a key that nobody has told it, which is a warning', async () => {
    const { ports } = await startSite()
    const { status, faults } = await runDoctor([SITE_HOST, '--port', `${ports.main}`])
    expect({ status, faults }).toEqual({ status: 0, faults: ['key-unknown'] })
  })

  it('the other key of the relay', async () => {
    const site = await startSite({ programs: ['hbbs'] })
    const { args: _, ...command } = site.command('hbbr')
    const other = closeLater(mkFolder())
    const hbbr = await ServiceProcess.start({ ...command, args: ['-k', '_'], folder: other.path })
    closeLater({ close: () => hbbr.stop() })
    const run = await examineSite(site)
    expectCause(run, 'relay-key')
    expect(run.faults).toEqual(['relay-key'])
  })

  // The command itself would stand between us and the server: only what it sets is used.
  const library = spawnSync('faketime', ['-f', '+1d', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).stdout?.trim()
  const NO_FAKETIME = library ? undefined : 'faketime is not installed; install the package faketime'
  ;(NO_FAKETIME === undefined ? it : it.skip)(`the wrong clock${skippedBecause(NO_FAKETIME)}`, async () => {
    const site = await startSite()
    const { env, ...command } = site.command('api')
    const clock = { LD_PRELOAD: library ?? '', FAKETIME: '+1d' }
    const api = await ServiceProcess.start({ ...command, env: { ...env, ...clock } })
    closeLater({ close: () => api.stop() })
    const run = await examineSite(site)
    expectCause(run, 'clock-off')
    expect(run.faults).toEqual(['clock-off'])
    expect(run.output).toMatch(/clock is 86\d\d\d s ahead/)
  })

  it('devices that are not admitted, which is no fault', async () => {
    const site = await startSite({ hbbs: { env: { ACCESS_MODE: 'approve' } } })
    const run = await examineSite(site)
    expect({ status: run.status, faults: run.faults }).toEqual({ status: 0, faults: [] })
    expect(run.findings.map(({ code }) => code)).toContain('not-deployed')
  })
})

describe('behind a reverse proxy', () => {
  let folder: Folder
  let right: Certificates
  let wrong: Certificates
  beforeAll(async () => {
    folder = mkFolder()
    for (const name of ['right', 'wrong']) mkdirSync(join(folder.path, name))
    right = await prepare(join(folder.path, 'right'), 'localhost')
    wrong = await prepare(join(folder.path, 'wrong'), 'other.example.com')
  })
  afterAll(() => folder?.close())

  const startProxy = async ({ ports }: Site, options: Partial<SmallProxyOptions> = {}): Promise<SmallProxy> =>
    closeLater(
      await SmallProxy.start({
        certificates: right.folder,
        paths: { '/ws/id': ports.webSocket, '/ws/relay': ports.relayWebSocket },
        headers: 'X-Real-IP',
        ...options,
      }),
    )

  const examineBehind = (site: Site, proxy: SmallProxy, authority: string, ...flags: string[]) =>
    runDoctor(
      [SITE_HOST, '--port', `${site.ports.main}`, '--key', site.key, '--wss', `localhost:${proxy.port}`, ...flags],
      { env: { NODE_EXTRA_CA_CERTS: authority } },
    )

  it.each([[[]], [['--ws-only']]])('nothing is wrong where all is right: %j', async (flags) => {
    const site = await startSite()
    const run = await examineBehind(site, await startProxy(site), right.authority, ...flags)
    expectFine(run)
    expect(run.findings.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['the WebSocket paths lead to the servers', 'a session through the relay works']),
    )
  })

  it.each([
    [{ '/id': 'webSocket', '/relay': 'relayWebSocket' }],
    [{ '/ws/id': 'relayWebSocket', '/ws/relay': 'webSocket' }],
    [{ '/ws/id': 'webSocket' }],
  ] as const)('a wrong path comes first: %j', async (wanted) => {
    const site = await startSite()
    const paths = Object.fromEntries(Object.entries(wanted).map(([path, port]) => [path, site.ports[port]]))
    const run = await examineBehind(site, await startProxy(site, { paths }), right.authority)
    expectCause(run, 'proxy-path')
    expect(run.faults).toEqual(['proxy-path'])
  })

  it('missing headers come first', async () => {
    const site = await startSite()
    const proxy = await startProxy(site, { headers: 'none', from: '127.0.0.9' })
    const run = await examineBehind(site, proxy, right.authority)
    expectCause(run, 'headers-missing')
    expect(run.faults).toEqual(['headers-missing'])
  })

  it.each([[[]], [['--ws-only']]])('a certificate for another name comes first: %j', async (flags) => {
    const site = await startSite()
    const proxy = await startProxy(site, { certificates: wrong.folder })
    const run = await examineBehind(site, proxy, wrong.authority, ...flags)
    expectCause(run, 'certificate-name')
    expect(run.faults).toEqual(['certificate-name'])
    expect(run.output).toContain('other.example.com')
  })

  it('a certificate that nobody trusts comes first', async () => {
    const site = await startSite()
    const run = await examineBehind(site, await startProxy(site), wrong.authority)
    expectCause(run, 'certificate-untrusted')
  })
})

;(NO_REDIS === undefined ? describe : describe.skip)(`with Redis${skippedBecause(NO_REDIS)}`, () => {
  const examine = (cluster: Cluster): Promise<DoctorRun> =>
    runDoctor([SITE_HOST, '--port', `${cluster.node('hbbs').ports.main}`, '--key', cluster.key])

  it('nothing is wrong where ID server and relay share it', async () => {
    const cluster = closeLater(await Cluster.start({ hbbs: 1, hbbr: 1 }))
    const run = await examine(cluster)
    expectFine(run)
  })

  it('Redis that is down comes first', async () => {
    const cluster = closeLater(await Cluster.start({ hbbs: 1, hbbr: 0, env: { PUBLIC_HOST: SITE_HOST } }))
    await cluster.add('hbbr', cluster.node('hbbs').ports)
    await cluster.redis.kill()
    const run = await examine(cluster)
    expectCause(run, 'state-unavailable')
    expect(run.faults).toEqual(['state-unavailable'])
  })

  it('different databases of ID server and relay come first', async () => {
    const cluster = closeLater(await Cluster.start({ hbbs: 1, hbbr: 0, env: { PUBLIC_HOST: SITE_HOST } }))
    const { ports } = cluster.node('hbbs')
    await cluster.add('hbbr', ports, { REDIS_URL: cluster.redis.url.replace(/\d+$/, '1') })
    const run = await examine(cluster)
    expectCause(run, 'relay-not-joined')
    expect(run.faults).toEqual(['relay-not-joined'])
  })
})

interface Folder {
  readonly path: string
  close(): void
}

function mkFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'tryst-doctor-'))
  return { path, close: () => rmSync(path, { recursive: true, force: true }) }
}

function skippedBecause(reason: string | undefined): string {
  return reason === undefined ? '' : ` (skipped: ${reason})`
}
