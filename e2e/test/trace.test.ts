import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { ConnectError, Device, DeviceSession } from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { exchange } from '../src/site/exchange.ts'
import { Site } from '../src/site/site.ts'
import { startStandalone } from '../src/site/standalone-process.ts'
import { within } from '../src/site/wait-until.ts'
import { storyOf, type ToldAttempt, trace, tracedAttempt } from '../src/trace/run-trace.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const PASSWORD = 'correct horse'
const BYTES = 100_000

const sessionOf = (device: Device) =>
  within('the device has a session', new Promise<DeviceSession>((resolve) => device.once('session', resolve)))

const hasStep = (step: string) => (attempt: ToldAttempt) => attempt.steps.some((seen) => seen.step === step)

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`tryst trace of two ID servers and a relay on Redis${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  let cluster: Cluster
  let where: readonly string[]
  beforeAll(async () => {
    cluster = await Cluster.start({ hbbr: 1 })
    await cluster.haveMet()
    where = ['--redis-url', cluster.redis.url]
  })
  afterEach(() => cluster?.dismissGuests())
  afterAll(() => cluster?.close())

  it('tells of a relayed session from the request to its end, over all of them', async () => {
    const device = await cluster.device(1, { password: PASSWORD, localAddress: '127.0.0.2' })
    const theirs = sessionOf(device)
    const controller = cluster.controller(0, { localAddress: '127.0.0.3' })
    const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: true })
    await exchange(ours, await theirs, BYTES)
    await ours.close()
    const attempt = await tracedAttempt(where, (each) => each.id === device.id && hasStep('ended')(each))
    expect(attempt.asked).toMatchObject({
      kind: 'punch',
      over: 'tcp',
      from: expect.stringMatching(/^127\.0\.0\.3:\d+$/),
    })
    expect(attempt.outcome).toMatch(/^relayed \d+ bytes, closed$/)
    const story = storyOf(attempt)
    const inOrder = [
      ...['hbbs-1 asked', 'hbbs-2 passed_on', 'hbbs-1 pushed', 'hbbs-1 answered', 'hbbs-1 ticket'],
      ...['hbbr-1 paired', 'hbbr-1 ended'],
    ]
    for (const each of inOrder) expect(story).toContain(each)
    // Two processes may see the same millisecond; whoever was told and whoever tells are one message.
    const places = ['hbbs-1 asked', 'hbbs-2 passed_on', 'hbbs-1 answered', 'hbbr-1 paired', 'hbbr-1 ended']
    expect(places.map((each) => story.indexOf(each))).toEqual(
      places.map((each) => story.indexOf(each)).toSorted((a, b) => a - b),
    )
    const [pushed, passedOn, ended] = ['pushed', 'passed_on', 'ended'].map((name) =>
      attempt.steps.find(({ step }) => step === name),
    )
    expect(pushed).toMatchObject({ node: 'hbbs-2' })
    expect(passedOn).toMatchObject({ what: 'pushed', over: 'udp', address: expect.stringContaining('127.0.0.2:') })
    expect(ended?.bytes).toBeGreaterThan(2 * BYTES)

    expect(await cluster.node('hbbs', 0).process.logged(/^attempt$/)).toMatchObject({
      attempt: attempt.code,
      id: device.id,
    })
    const text = await trace(attempt.code.toLowerCase(), ...where)
    expect(text).toContain('by way of node hbbs-2')
    expect(text).toMatch(/Outcome: relayed \d+ bytes, closed/)
  })

  it('finds an attempt by the code in the text that the client shows', async () => {
    const refused = await cluster
      .controller(0, { localAddress: '127.0.0.3' })
      .connect('100000001')
      .catch((error: ConnectError) => error.message)
    const [, code = ''] = /\(([0-9A-Z]{6})\)$/.exec(String(refused)) ?? []
    const attempt = await tracedAttempt(where, (each) => each.code === code)
    expect(attempt).toMatchObject({ id: '100000001', outcome: 'refused: unknown_id' })
    expect(await trace(code, ...where)).toContain('no device has this ID')
    const line = await cluster.node('hbbs', 0).process.logged(/attempt came to nothing/)
    expect(line).toMatchObject({ attempt: code, why: 'unknown_id' })
  })

  it('knows what it knows nothing of', async () => {
    await expect(trace('ZZZZZZ', ...where)).rejects.toMatchObject({ code: 1 })
    await expect(trace('no-code', ...where)).rejects.toMatchObject({ code: 1 })
  })
})

describe('tryst trace of an npm start', () => {
  let site: Site
  let server: { stop(): Promise<void> }
  beforeAll(async () => {
    site = await Site.start({ programs: [] })
    server = await startStandalone(site)
  })
  afterAll(async () => {
    await server?.stop()
    await site?.close()
  })

  it('tells of a relayed session with what the relay saw, while the server runs', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    const theirs = sessionOf(device)
    const ours = await site.controller().connect(device.id, { password: PASSWORD, forceRelay: true })
    await exchange(ours, await theirs, BYTES)
    await ours.close()
    const where = ['--folder', site.folder]
    const attempt = await tracedAttempt(where, (each) => each.id === device.id && hasStep('ended')(each))
    expect(attempt.steps.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['asked', 'pushed', 'answered', 'ticket', 'waiting', 'paired', 'left', 'ended']),
    )
    expect(attempt.steps.filter(({ role }) => role === 'relay').map(({ step }) => step)).toEqual([
      ...['waiting', 'paired', 'ended'],
    ])
  })
})
