import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import type { Device, DeviceSession } from '@tryst/client'
import { encodeFrame, encodeRendezvous } from '@tryst/protocol'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { exchange } from '../src/site/exchange.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'
import { StreamClient } from '../src/transcripts/tcp-client.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20
const FAST = { SINGLE_BANDWIDTH: '20000', TOTAL_BANDWIDTH: '20000', LIMIT_SPEED: '20000' }
const suite = NO_REDIS === undefined ? describe : describe.skip
const why = NO_REDIS === undefined ? '' : ` (${NO_REDIS})`

let cluster: Cluster | undefined
afterEach(async () => {
  await cluster?.close()
  cluster = undefined
})

const sessionOf = (device: Device) =>
  within('the device has a session', new Promise<DeviceSession>((resolve) => device.once('session', resolve)))

suite(`relays of one server${why}`, () => {
  it.each(['tcp', 'websocket'] as const)(
    'join a session whose sides they were sent one each, %s',
    async (transport) => {
      cluster = await Cluster.start({ env: FAST, hbbs: 0 })
      const [near, far] = [cluster.node('hbbr', 0), cluster.node('hbbr', 1)]
      const rules = `127.0.0.2/32=127.0.0.1:${near.ports.relay},127.0.0.3/32=127.0.0.1:${far.ports.relay}`
      await cluster.add('hbbs', undefined, { RELAY_RULES: rules })
      const device = await cluster.device(0, { password: PASSWORD, localAddress: '127.0.0.2' })
      const theirs = sessionOf(device)
      const controller = cluster.controller(0, { localAddress: '127.0.0.3', transport })
      const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: true })
      const { forth, back } = await exchange(ours, await theirs, 32 * MEBIBYTE)
      expect(forth.received).toBe(forth.sent)
      expect(back.received).toBe(back.sent)
      const lines = [near, far].map(({ process }) => process.log.filter(({ msg }) => /got (joined|paired)/.test(msg)))
      expect(lines.map((each) => each.length)).toEqual([1, 1])
    },
  )

  it('serve nobody whom no ID server introduced', async () => {
    cluster = await Cluster.start({ hbbs: 1, hbbr: 1 })
    const { ports, process } = cluster.node('hbbr')
    const uuid = randomUUID()
    const request = encodeRendezvous({ requestRelay: { uuid, licenceKey: cluster.key } })
    const halves = await Promise.all(
      ['127.0.0.4', '127.0.0.5'].map(async (from) => {
        const half = new StreamClient(from, { ip: '127.0.0.1', port: ports.relay })
        await half.open()
        half.sendBytes(encodeFrame(request))
        return half
      }),
    )
    await Promise.all(halves.map((half) => within('the half is turned away', half.ended(25_000), 30_000)))
    expect(process.log.filter(({ msg }) => /got paired/.test(msg))).toEqual([])
    await process.logged(/no ID server introduced this session/)
  })

  it('let sessions come about that were offered before one of them was stopped', async () => {
    cluster = await Cluster.start({ hbbs: 1, hbbr: 1, env: FAST })
    const device = await cluster.device(0, { password: PASSWORD })
    const theirs = sessionOf(device)
    const hbbr = cluster.node('hbbr').process
    // The device has been told of the relay, and nobody has come there yet.
    device.once('reaction', () => hbbr.signal('SIGTERM'))
    const ours = await cluster.controller().connect(device.id, { password: PASSWORD, forceRelay: true })
    expect(hbbr.log.some(({ msg }) => msg === 'stopping')).toBe(true)
    const { forth } = await exchange(ours, await theirs, MEBIBYTE)
    expect(forth.received).toBe(forth.sent)
  })
})

suite(`a relay that is stopped${why}`, () => {
  it('waits for nobody when no ID server has sent anybody anywhere', async () => {
    cluster = await Cluster.start({ hbbs: 2, hbbr: 1 })
    await cluster.haveMet()
    const hbbr = cluster.node('hbbr')
    const beganMs = performance.now()
    await hbbr.stop()
    // Otherwise it is 8 s.
    expect(performance.now() - beganMs).toBeLessThan(7_500)
  })
})

suite(`workers of one program${why}`, () => {
  it('share its ports and are one server', async () => {
    cluster = await Cluster.start({ hbbs: 1, hbbr: 1, env: { ...FAST, WORKERS: '2' } })
    const devices = await Promise.all(
      Array.from({ length: 8 }, (_, i) => cluster?.device(0, { password: PASSWORD, localAddress: `127.0.1.${i + 1}` })),
    )
    for (const [i, device] of devices.entries()) {
      if (!device) throw new Error('no device')
      const theirs = sessionOf(device)
      const controller = cluster.controller(0, { localAddress: '127.0.0.3' })
      const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: i % 2 === 0 })
      const { forth } = await exchange(ours, await theirs, MEBIBYTE)
      expect(forth.received).toBe(forth.sent)
    }
    const registered = cluster.node('hbbs').process.log.filter(({ msg }) => msg === 'device registered')
    // The system deals devices out by their ports.
    expect(registered).toHaveLength(devices.length)
  })

  it('take no port that somebody else has, and share none unasked', async () => {
    cluster = await Cluster.start({ hbbs: 1, hbbr: 0 })
    const { ports } = cluster.node('hbbs')
    for (const env of [{ WORKERS: '2' }, {}]) {
      const refused = cluster.add('hbbs', ports, { ...env, REUSE_PORT: 'N' })
      await expect(refused).rejects.toThrow(/port \d+ is in use by .*hbbs|port \d+ is in use/)
    }
  })

  it('come back when one dies', async () => {
    cluster = await Cluster.start({ hbbs: 1, hbbr: 0, env: { WORKERS: '2' } })
    const { process: parent } = cluster.node('hbbs')
    const labels = () => parent.log.filter(({ msg }) => msg === 'taking part as a node').map(({ node }) => node)
    // One that dies before is a start that failed.
    await parent.logged(/^workers listening$/)
    const children = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ')
    expect(children).toHaveLength(2)
    process.kill(Number(children[0]), 'SIGKILL')
    await waitUntil('another worker takes part', () => labels().length === 3)
    expect(new Set(labels())).toEqual(new Set(['hbbs-1.1', 'hbbs-1.2']))
    await parent.logged(/worker [12] was ended by SIGKILL; it is started again/)
    // Whichever worker the system picks.
    for (let i = 0; i < 4; i++) await cluster.device(0, { localAddress: `127.0.2.${i + 1}` })
  })
})
