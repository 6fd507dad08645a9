import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { unmangleAddress } from '@tryst/protocol'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site } from '../src/site/site.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const PROXY = '127.0.0.9'
const CLIENT = '203.0.113.7'

let site: Site

beforeAll(async () => {
  site = await Site.start({ programs: ['hbbs'], hbbs: { env: { TRUSTED_PROXIES: PROXY, NEW_IDS_PER_MINUTE: '1000' } } })
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

/** The address of a controller that a device is told. */
async function addressSeen(at: Site, from: string, headers: Record<string, string>): Promise<string> {
  const device = await RawDevice.online(at)
  const controller = await RawConnection.open(at, 'webSocket', { from, headers })
  controller.send({ punchHoleRequest: { id: device.id, licenceKey: at.key, natType: 2 } })
  const { punchHole } = await device.next()
  controller.close()
  return unmangleAddress(punchHole?.socketAddr ?? new Uint8Array(0)).ip
}

describe('the address of a client behind a trusted proxy', () => {
  it.each([
    ['is X-Real-IP', { 'X-Real-IP': CLIENT }, CLIENT],
    ['is X-Real-IP before X-Forwarded-For', { 'X-Real-IP': CLIENT, 'X-Forwarded-For': '198.51.100.1' }, CLIENT],
    ['is the only one of X-Forwarded-For', { 'X-Forwarded-For': CLIENT }, CLIENT],
    ['is the last of X-Forwarded-For', { 'X-Forwarded-For': `198.51.100.1, ${CLIENT}` }, CLIENT],
    ['is what stands before proxies', { 'X-Forwarded-For': `198.51.100.1, ${CLIENT}, ${PROXY}` }, CLIENT],
    ['may have a port', { 'X-Real-IP': `${CLIENT}:4711` }, CLIENT],
    ['may be IPv6', { 'X-Real-IP': '2001:db8::7' }, '2001:db8::7'],
    ['may be IPv6 with brackets and port', { 'X-Forwarded-For': '[2001:db8::7]:4711' }, '2001:db8::7'],
    ['is normalised', { 'X-Real-IP': `::ffff:${CLIENT}` }, CLIENT],
    ["is the proxy's when it cannot be read", { 'X-Real-IP': 'unknown' }, PROXY],
    ["is the proxy's when there is no header", {}, PROXY],
  ])('%s', async (_, headers, expected) => {
    expect(await addressSeen(site, PROXY, headers as Record<string, string>)).toBe(expected)
  })
})

describe('a header from somebody else', () => {
  it.each([{ 'X-Real-IP': CLIENT }, { 'X-Forwarded-For': CLIENT }])('is ignored: %j', async (headers) => {
    expect(await addressSeen(site, '127.0.0.8', headers as Record<string, string>)).toBe('127.0.0.8')
  })

  it('is ignored even from loopback when no proxy is trusted', async () => {
    const wary = await Site.start({ programs: ['hbbs'], hbbs: { env: { TRUSTED_PROXIES: 'none' } } })
    try {
      expect(await addressSeen(wary, '127.0.0.1', { 'X-Real-IP': CLIENT })).toBe('127.0.0.1')
    } finally {
      await wary.close()
    }
  })
})

describe('controllers behind one proxy', () => {
  it('are kept apart: each gets the answer of its own device, even from one address', async () => {
    const at = site
    const headers = { 'X-Real-IP': CLIENT }
    const meetings = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const device = await RawDevice.online(at)
        const controller = await RawConnection.open(at, 'webSocket', { from: PROXY, headers })
        controller.send({ punchHoleRequest: { id: device.id, licenceKey: at.key, natType: 2 } })
        const { punchHole } = await device.next()
        return { device, controller, handle: punchHole?.socketAddr ?? new Uint8Array(0), uuid: randomUUID() }
      }),
    )
    expect(new Set(meetings.map(({ handle }) => Buffer.from(handle).toString('hex'))).size).toBe(meetings.length)
    for (const { device, handle, uuid } of meetings.toReversed()) {
      const answer = await RawConnection.open(at, 'main')
      const relayServer = 'relay.example:21117'
      answer.send({ relayResponse: { socketAddr: handle, uuid, relayServer, id: device.id, version: '1.4.9' } })
      await answer.ended()
    }
    for (const { controller, uuid } of meetings) expect((await controller.next()).relayResponse?.uuid).toBe(uuid)
  })

  it('have sessions of their own', async () => {
    const at = await Site.start()
    const devices = await Promise.all([1, 2].map((i) => at.device({ password: `password ${i}` })))
    const sessions = await Promise.all(
      devices.map((device, i) =>
        at.controller({ transport: 'websocket' }).connect(device.id, { password: `password ${i + 1}` }),
      ),
    )
    expect(sessions.map(({ isEncrypted }) => isEncrypted)).toEqual([true, true])
    await at.close()
  })
})
