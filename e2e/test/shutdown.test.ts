import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { exchange } from '../src/site/exchange.ts'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import type { ServiceProcess } from '../src/site/service-process.ts'
import { Site, type SiteOptions } from '../src/site/site.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const STOPPED_WITHIN_MS = 10_000
const CLEAN = { code: 0, signal: null }

let site: Site | undefined
afterEach(() => site?.close())

async function start(options: SiteOptions = {}): Promise<Site> {
  site = await Site.start(options)
  return site
}

const exit = (service: ServiceProcess) => within('the process ends', service.exited, STOPPED_WITHIN_MS)

/** A relayed session between two clients. */
async function relayed(at: Site) {
  const device = await at.device({ password: 'pw', localAddress: '127.0.0.2' })
  const theirs = new Promise<Parameters<typeof exchange>[1]>((resolve) => device.once('session', resolve))
  const ours = await at.controller().connect(device.id, { password: 'pw', forceRelay: true })
  return { ours, theirs: await theirs, device }
}

describe.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('%s', (signal) => {
  it.each(['hbbs', 'hbbr'] as const)('ends %s with 0 when nothing is relayed, and frees its ports', async (program) => {
    const at = await start()
    const service = at[program]
    service.signal(signal)
    expect(await exit(service)).toEqual(CLEAN)
    await at.start(program)
  })
})

describe('the ID server, told to stop,', () => {
  it('ends with 0 while clients of every kind are connected', async () => {
    const at = await start()
    const device = await RawDevice.online(at)
    const connections = await Promise.all(
      (['main', 'natTest', 'webSocket'] as const).map((port) => RawConnection.open(at, port)),
    )
    const waiting = await RawConnection.open(at, 'main')
    waiting.send({ punchHoleRequest: { id: device.id, licenceKey: at.key, natType: 2 } })
    await device.next()
    at.hbbs.signal('SIGTERM')
    expect(await exit(at.hbbs)).toEqual(CLEAN)
    for (const each of [...connections, waiting]) await each.ended()
  })

  it('still passes on the answer that a controller waits for', async () => {
    const at = await start()
    const device = await RawDevice.online(at)
    const waiting = await RawConnection.open(at, 'main')
    waiting.send({ punchHoleRequest: { id: device.id, licenceKey: at.key, natType: 2 } })
    const request = await device.next()
    at.hbbs.signal('SIGTERM')
    await at.hbbs.logged(/^stopping$/)
    const uuid = randomUUID()
    const socketAddr = request.fetchLocalAddr?.socketAddr ?? request.punchHole?.socketAddr ?? new Uint8Array(0)
    const answer = await RawConnection.open(at, 'main')
    answer.send({ relayResponse: { socketAddr, uuid, relayServer: 'a:1', id: device.id, version: '1.4.9' } })
    expect((await waiting.next()).relayResponse?.uuid).toBe(uuid)
    expect(await exit(at.hbbs)).toEqual(CLEAN)
  })
})

describe('the relay, told to stop,', () => {
  it('cuts what is relayed and ends with 0', async () => {
    const at = await start()
    const { ours, theirs } = await relayed(at)
    await exchange(ours, theirs, 1 << 20)
    at.hbbr.signal('SIGTERM')
    expect(await exit(at.hbbr)).toEqual(CLEAN)
    expect((await ours.ended).kind).not.toBe('closedHere')
  })

  it('lets a half that waits meet its partner first', async () => {
    const at = await start({ hbbr: { env: { DRAIN_SECONDS: '30' } } })
    const request = { requestRelay: { uuid: randomUUID(), licenceKey: at.key } }
    const first = await RawConnection.open(at, 'relay')
    first.send(request)
    await at.hbbr.logged(/^New relay request/)
    at.hbbr.signal('SIGTERM')
    await at.hbbr.logged(/^stopping$/)
    const second = await RawConnection.open(at, 'relay')
    second.send(request)
    await at.hbbr.logged(/got paired$/)
    first.sendPayload(Buffer.from('still here'))
    expect(Buffer.from(await second.nextPayload()).toString()).toBe('still here')
    first.close()
    expect(await exit(at.hbbr)).toEqual(CLEAN)
  })

  it('lets a session go on for DRAIN_SECONDS, refuses new ones, and ends with the session', async () => {
    const at = await start({ hbbr: { env: { DRAIN_SECONDS: '30' } } })
    const { ours, theirs } = await relayed(at)
    at.hbbr.signal('SIGTERM')
    await at.hbbr.logged(/^stopping$/)
    await waitUntil('the relay accepts nobody', () =>
      RawConnection.open(at, 'relay').then(
        () => false,
        () => true,
      ),
    )
    const { forth, back } = await exchange(ours, theirs, 4 << 20)
    expect([forth.received, back.received]).toEqual([forth.sent, back.sent])
    expect(at.hbbr.isRunning).toBe(true)
    await ours.close()
    expect(await exit(at.hbbr)).toEqual(CLEAN)
  })

  it('ends a session when DRAIN_SECONDS are over', async () => {
    const at = await start({ hbbr: { env: { DRAIN_SECONDS: '1' } } })
    const { ours } = await relayed(at)
    at.hbbr.signal('SIGQUIT')
    expect(await exit(at.hbbr)).toEqual(CLEAN)
    expect((await ours.ended).kind).not.toBe('closedHere')
  })

  it('ends at once when told twice', async () => {
    const at = await start({ hbbr: { env: { DRAIN_SECONDS: '600' } } })
    const { ours } = await relayed(at)
    at.hbbr.signal('SIGTERM')
    await at.hbbr.logged(/^stopping$/)
    const toldMs = performance.now()
    at.hbbr.signal('SIGTERM')
    await exit(at.hbbr)
    expect(performance.now() - toldMs).toBeLessThan(2_000)
    await ours.ended
  })
})
