import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { createDeviceIdentity, Device } from '@tryst/client'
import { rendezvous } from '@tryst/protocol'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site, type SiteOptions } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'
import { haveVectors, vectorsDir } from '../src/transcripts/vectors.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const { OK, UUID_MISMATCH, TOO_FREQUENT, INVALID_ID_FORMAT } = rendezvous.RegisterPkResponse.Result
const MANY_NEW_IDS = { NEW_IDS_PER_MINUTE: '100000', NEW_IDS_PER_DAY: '100000', LOOKUPS_PER_MINUTE: '1000000' }

let site: Site | undefined
afterEach(() => site?.close())

/** An ID server without a relay. */
async function start(options: SiteOptions = {}): Promise<Site> {
  site = await Site.start({ programs: ['hbbs'], ...options })
  return site
}

async function isOnline(at: Site, id: string): Promise<boolean | undefined> {
  return (await at.controller().queryOnline([id]))?.get(id)
}

function storedIds(at: Site): Set<string> {
  const database = new DatabaseSync(join(at.folder, 'db_v2.sqlite3'))
  try {
    return new Set(
      database
        .prepare('select id from peer')
        .all()
        .map(({ id }) => `${id}`),
    )
  } finally {
    database.close()
  }
}

describe('a device', () => {
  it('is online as soon as its registration is answered, and stays so with its heartbeats', async () => {
    const at = await start()
    const device = await RawDevice.open(at)
    expect(await device.heartbeat()).toBe(true)
    expect(await isOnline(at, device.id)).toBe(false)
    expect(await device.register()).toBe(OK)
    expect(await isOnline(at, device.id)).toBe(true)
    expect(await device.heartbeat()).toBe(false)
  })

  it('is online at once when the server has been restarted and knows it', async () => {
    const at = await start()
    const device = await RawDevice.online(at)
    await at.restart('hbbs')
    expect(await isOnline(at, device.id)).toBe(false)
    expect(await device.heartbeat()).toBe(true)
    expect(await device.register()).toBe(OK)
    expect(await isOnline(at, device.id)).toBe(true)
  })

  it('keeps its id when the server is restarted on the same folder', async () => {
    const at = await start()
    const device = await at.device()
    const { id } = device
    await at.restart('hbbs')
    await device.close()
    const again = await at.device({ identity: device.identity, keyConfirmed: true })
    expect([again.id, await isOnline(at, id)]).toEqual([id, true])
  })

  it('draws another id when another device has its own, which stays where it is', async () => {
    const at = await start()
    const owner = await at.device({ localAddress: '127.0.0.2' })
    const other = at.guest(
      new Device({
        server: at.server,
        natType: 'asymmetric',
        identity: createDeviceIdentity({ id: owner.id }),
        localAddress: '127.0.0.3',
      }),
    )
    await other.start()
    await other.online()
    expect(other.id).not.toBe(owner.id)
    expect([await isOnline(at, owner.id), await isOnline(at, other.id)]).toEqual([true, true])
  })

  it('that changes its id is answered on a connection, which ends then', async () => {
    const at = await start()
    for (const port of ['main', 'webSocket'] as const) {
      const connection = await RawConnection.open(at, port)
      const answer = await connection.ask({ registerPk: { id: '123456789', uuid: Buffer.from('u'), oldId: '1' } })
      expect(answer.registerPkResponse?.result).toBe(INVALID_ID_FORMAT)
      expect(await connection.ended()).toBe('end')
    }
  })
})

describe('limits of registration', () => {
  it('bound the lengths of id, uuid and key', async () => {
    const at = await start()
    const device = await RawDevice.open(at)
    const { identity } = device
    const uuid = Buffer.alloc(256, 1)
    expect(await device.register({ ...identity, id: 'x'.repeat(100), uuid })).toBe(OK)
    expect(await device.register({ ...identity, id: 'x'.repeat(101) })).toBe(INVALID_ID_FORMAT)
    expect(await device.register({ ...identity, uuid: Buffer.alloc(257, 1) })).toBe(INVALID_ID_FORMAT)
    expect(await device.register({ ...identity, publicKey: Buffer.alloc(31, 1) })).toBe(INVALID_ID_FORMAT)
    expect(await device.register({ ...identity, publicKey: Buffer.alloc(33, 1) })).toBe(INVALID_ID_FORMAT)
    expect(await device.register({ ...identity, id: 'short' })).toBe(UUID_MISMATCH)
  })

  it('hold for new ids of one address, not for known devices there', async () => {
    const at = await start({ hbbs: { env: { NEW_IDS_PER_MINUTE: '5' } } })
    const known = await RawDevice.online(at, { ip: '127.0.0.7' })
    const results: number[] = []
    for (let i = 0; i < 8; i++) {
      const device = await RawDevice.open(at, { ip: '127.0.0.7' })
      results.push(await device.register())
    }
    expect(results).toEqual([OK, OK, OK, OK, OK, TOO_FREQUENT, TOO_FREQUENT, TOO_FREQUENT])
    for (let i = 0; i < 20; i++) expect(await known.register()).toBe(OK)
    await RawDevice.online(at, { ip: '127.0.0.8' })
  })

  it('are not used up for a device by strangers who name its id', async () => {
    const at = await start()
    const owner = await RawDevice.online(at, { ip: '127.0.0.2' })
    const stranger = await RawDevice.open(at, { ip: '127.0.0.3' })
    const pretence = createDeviceIdentity({ id: owner.id })
    for (let i = 0; i < 100; i++) stranger.sendRegisterPk(pretence)
    // A foreign address with the right uuid, as in a replayed message, and another key.
    const replay = { ...owner.identity, publicKey: createDeviceIdentity().publicKey }
    for (let i = 0; i < 100; i++) stranger.sendRegisterPk(replay)
    expect((await stranger.next()).registerPkResponse?.result).toBe(UUID_MISMATCH)
    expect(await owner.register()).toBe(OK)
    expect(await isOnline(at, owner.id)).toBe(true)
  })

  it('let UUID_MISMATCH be said once to a source, and then nothing for a while', async () => {
    const at = await start()
    const owner = await RawDevice.online(at, { ip: '127.0.0.2' })
    const other = await RawDevice.open(at, { ip: '127.0.0.3' })
    const pretence = createDeviceIdentity({ id: owner.id })
    expect(await other.register(pretence)).toBe(UUID_MISMATCH)
    for (let i = 0; i < 10; i++) other.sendRegisterPk(pretence)
    // Answers come in order: the first after the silence is the one to its own id.
    expect(await other.register()).toBe(OK)
  })
})

describe('a fleet', () => {
  it('of 300 known devices behind one address is online within 20 s of a restart', async () => {
    const at = await start({ hbbs: { env: MANY_NEW_IDS } })
    const devices = await Promise.all(Array.from({ length: 300 }, () => at.device({ localAddress: '127.0.0.2' })))
    const ids = devices.map(({ id }) => id)
    await at.hbbs.stop()
    // With the limits of a fresh installation.
    await at.start('hbbs', {})
    const startedMs = performance.now()
    const controller = at.controller({ localAddress: '127.0.0.3' })
    await waitUntil(
      'all 300 devices are online again',
      async () => [...((await controller.queryOnline(ids))?.values() ?? [false])].every((online) => online),
      20_000,
    )
    expect(performance.now() - startedMs).toBeLessThan(20_000)
    expect(devices.map(({ id }) => id)).toEqual(ids)
  })
})

describe('the store', () => {
  it('has everything that was acknowledged when the server is killed while devices register', async () => {
    const at = await start({ hbbs: { env: MANY_NEW_IDS } })
    const acknowledged = new Set<string>()
    let isKilled = false
    const loops = Array.from({ length: 8 }, async (_, i) => {
      const socket = await RawDevice.open(at, { ip: `127.0.2.${i + 1}` })
      while (!isKilled) {
        const identity = createDeviceIdentity()
        const result = await socket.register(identity).catch(() => undefined)
        if (result === OK) acknowledged.add(identity.id)
      }
    })
    await waitUntil('2,000 devices are registered', () => acknowledged.size >= 2_000, 30_000)
    await at.hbbs.kill()
    isKilled = true
    await Promise.all(loops)
    const stored = storedIds(at)
    expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([])
    await at.start('hbbs')
  })
})

const describeTakeOver = haveVectors ? describe : describe.skip
const skipped = haveVectors ? '' : ' (skipped: VECTORS_DIR names no folder that has transcripts.json)'

describeTakeOver(`the folder of a reference server${skipped}`, () => {
  interface KnownRow {
    readonly id: string
    readonly uuid: string
    readonly pk: string
  }
  /** What stock clients can have left; the others are beyond our bounds (docs/configuration.md, limits). */
  const rows = (): KnownRow[] => {
    const { rows: all } = JSON.parse(readFileSync(join(vectorsDir, 'database.json'), 'utf8'))
    const isOfStockClient = ({ id, uuid, pk }: KnownRow) => id.length <= 100 && uuid.length <= 512 && pk.length === 64
    return (all.cases ?? all).filter(isOfStockClient)
  }

  it('is taken over: its devices register without a new id, under its key', async () => {
    const at = await start({ dataFolder: join(vectorsDir, 'data-folder') })
    expect(at.key).toBe(readFileSync(join(vectorsDir, 'data-folder', 'id_ed25519.pub'), 'utf8').trim())
    expect(rows().length).toBeGreaterThan(5)
    for (const { id, uuid, pk } of rows()) {
      const socket = await RawDevice.open(at)
      const known = { id, uuid: Buffer.from(uuid, 'hex'), publicKey: Buffer.from(pk, 'hex') }
      expect([id, await socket.register(known)]).toEqual([id, OK])
      expect(await isOnline(at, id)).toBe(true)
    }
  })
})
