import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { encodeBase64 } from '@tryst/protocol'
import { type AccessMode, type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { listPeers, SqliteAccessStore, SqliteIdentityStore } from '@tryst/state-sqlite'
import { DeviceAdministration, type DeviceRow } from '../src/index.ts'

const NOW = Date.UTC(2026, 0, 1)
const laptop = '123456789' as PeerId
const home = '203.0.113.7'
const filled = (length: number, value: number) => new Uint8Array(length).fill(value)

let folder: string
let path: string
let identities: SqliteIdentityStore
let access: SqliteAccessStore
let dismissed: PeerId[]
let nowMs: number
let tellingFails: boolean
let admin: DeviceAdministration

const administration = (mode: AccessMode) =>
  new DeviceAdministration({
    ...{ mode, identities, access, idMaxBytes: 100, uuidMaxBytes: 256, holdMs: 1_000, clock: () => nowMs },
    known: () => listPeers(path),
    online: async (ids) => ids.map((id) => id === laptop),
    dismiss: async (id) => {
      if (tellingFails) throw new StoreUnavailableError('the node b does not answer')
      dismissed.push(id)
    },
  })

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-'))
  path = join(folder, 'db_v2.sqlite3')
  identities = new SqliteIdentityStore({ path })
  access = new SqliteAccessStore(path)
  dismissed = []
  nowMs = NOW
  tellingFails = false
  admin = administration('approve')
})

afterEach(async () => {
  access.close()
  await identities.close()
  rmSync(folder, { recursive: true })
})

const asks = (id: string, uuid = 1, ip = home) =>
  access.enlist({ id: id as PeerId, uuid: filled(36, uuid), publicKey: filled(32, 1), ip }, 'new-device', nowMs++)
const registers = (id: string, uuid = 1) =>
  identities.create({ id: id as PeerId, uuid: filled(36, uuid), publicKey: filled(32, 1), ip: home })

async function rows(state?: DeviceRow['state']) {
  const all: DeviceRow[] = []
  for await (const row of admin.list(state)) all.push(row)
  return all
}

const refusal = (code: string, text: string | RegExp = '') =>
  expect.objectContaining({ name: 'AdministrationError', code, message: expect.stringMatching(text) })

describe('the list of devices', () => {
  it('begins with those that wait, and ends with those that are registered', async () => {
    await registers(laptop)
    await registers('987654321', 2)
    await access.invite('reception' as PeerId, NOW)
    await asks('waiting')
    await access.setNote(laptop, 'in the kitchen')
    expect((await rows()).map(({ id, state }) => `${id} ${state}`)).toEqual([
      'waiting pending',
      'reception invited',
      '123456789 known',
      '987654321 known',
    ])
    expect(await rows('known')).toEqual([
      { id: laptop, state: 'known', ip: home, note: 'in the kitchen', sinceMs: expect.any(Number), online: true },
      { id: '987654321', state: 'known', ip: home, note: '', sinceMs: expect.any(Number), online: false },
    ])
    expect(await rows('pending')).toMatchObject([{ id: 'waiting', why: 'new-device', ip: home, lastSeenMs: NOW }])
  })
})

describe('the list of devices that wait', () => {
  it('leaves out whoever has registered meanwhile, but not new keys', async () => {
    await asks('987654321')
    await registers('987654321')
    await registers(laptop)
    const another = { id: laptop, uuid: filled(36, 1), publicKey: filled(32, 2), ip: home }
    await access.enlist(another, 'key-changed', nowMs)
    expect(await rows('pending')).toMatchObject([{ id: laptop, why: 'key-changed' }])
  })
})

describe('approving and refusing', () => {
  it('decides about the device that waits', async () => {
    await asks(laptop)
    expect(await admin.approve(laptop)).toMatchObject({ id: laptop, state: 'approved', ip: home })
    expect(await rows('approved')).toHaveLength(1)
    await expect(admin.approve(laptop)).rejects.toEqual(refusal('not-found', 'is approved already'))
    expect(await admin.refuse(laptop)).toMatchObject({ state: 'refused' })
  })

  it('says that nobody waits', async () => {
    await expect(admin.approve(laptop)).rejects.toEqual(refusal('not-found', /no device waits.*devices invite/))
  })

  it('asks which of several devices is meant', async () => {
    await asks(laptop, 1)
    await asks(laptop, 2, '198.51.100.1')
    await expect(admin.approve(laptop)).rejects.toEqual(refusal('ambiguous', /2 devices.*--fingerprint/))
    const [second] = await rows('pending')
    expect(await admin.approve(laptop, second?.uuid?.slice(0, 8))).toMatchObject({ uuid: second?.uuid })
    expect(await rows('pending')).toHaveLength(1)
  })
})

describe('inviting', () => {
  it('names an id that the first device gets', async () => {
    expect(await admin.invite('reception')).toEqual({ mode: 'approve' })
    expect(await rows('invited')).toMatchObject([{ id: 'reception' }])
  })

  it('refuses ids that are taken, and what can be none', async () => {
    await registers(laptop)
    await expect(admin.invite(laptop)).rejects.toEqual(refusal('taken', 'is a device already'))
    await expect(admin.invite('short')).rejects.toEqual(refusal('invalid'))
    await expect(admin.invite('line\nbreak')).rejects.toEqual(refusal('invalid'))
    await expect(admin.invite('x'.repeat(101))).rejects.toEqual(refusal('invalid'))
  })
})

describe('removing', () => {
  it('forgets the device, what was said of it, and ends its presence', async () => {
    await registers(laptop)
    await access.setNote(laptop, 'old')
    expect(await admin.remove(laptop)).toEqual({})
    expect(await rows()).toEqual([])
    expect(dismissed).toEqual([laptop])
    await expect(admin.remove(laptop)).rejects.toEqual(refusal('not-found', 'devices list'))
  })

  it('takes back an invitation', async () => {
    await admin.invite('reception')
    await admin.remove('reception')
    expect(await rows()).toEqual([])
  })

  it('stands where a server could not be told, and says so', async () => {
    await registers(laptop)
    tellingFails = true
    expect(await admin.remove(laptop)).toEqual({ untold: 'the node b does not answer' })
    expect(identities.count()).toBe(0)
  })

  it('does nothing while the state is away', async () => {
    access.close()
    await expect(admin.invite(laptop)).rejects.toEqual(refusal('unavailable', 'the store is closed'))
  })
})

describe('renaming', () => {
  it('moves the device and its note', async () => {
    await registers(laptop)
    await admin.note(laptop, 'at the door')
    expect(await admin.rename(laptop, 'reception')).toEqual({})
    expect(await identities.find('reception' as PeerId)).toMatchObject({ uuid: filled(36, 1) })
    expect((await access.notes()).get('reception' as PeerId)).toBe('at the door')
    expect(dismissed).toEqual([laptop])
  })

  it('leaves ids to those that have them', async () => {
    await registers(laptop, 1)
    await registers('reception', 2)
    await expect(admin.rename(laptop, 'reception')).rejects.toEqual(refusal('taken'))
    await expect(admin.rename('nobody1', 'someone')).rejects.toEqual(refusal('not-found'))
    await expect(admin.rename(laptop, 'x')).rejects.toEqual(refusal('invalid'))
    expect(dismissed).toEqual([])
  })
})

describe('notes', () => {
  it('are one line about a device that is there', async () => {
    await expect(admin.note(laptop, 'x')).rejects.toEqual(refusal('not-found'))
    await registers(laptop)
    await expect(admin.note(laptop, 'two\nlines')).rejects.toEqual(refusal('invalid'))
    await expect(admin.note(laptop, 'x'.repeat(301))).rejects.toEqual(refusal('invalid'))
    await admin.note(laptop, 'fine')
    await admin.note(laptop, '')
    expect((await access.notes()).size).toBe(0)
  })
})

describe('deploy tokens', () => {
  const pk = encodeBase64(filled(32, 1))
  const request = (token: string, id = 'desk-01') => ({ token, id, uuid: encodeBase64(filled(36, 1)), pk })

  it('are shown once and stored as a hash', async () => {
    const { token, name } = await admin.createToken({ uses: 3, lifetimeMs: 1_000 })
    expect(token).toMatch(/^tryst_[\w-]{32}$/)
    expect(JSON.stringify(await access.tokens())).not.toContain(token)
    expect(await admin.tokens()).toEqual([{ name, createdMs: NOW, expiresMs: NOW + 1_000, usesLeft: 3, used: 0 }])
  })

  it('have names that are unique', async () => {
    await admin.createToken({ name: 'roll-out' })
    await expect(admin.createToken({ name: 'roll-out' })).rejects.toEqual(refusal('taken'))
    await expect(admin.createToken({ name: 'no spaces' })).rejects.toEqual(refusal('invalid'))
    await admin.revokeToken('roll-out')
    await expect(admin.revokeToken('roll-out')).rejects.toEqual(refusal('not-found'))
  })

  it('register a device before it comes', async () => {
    const { token } = await admin.createToken({ uses: 1 })
    expect(await admin.deploy(request(token))).toBe('OK')
    expect(await identities.find('desk-01' as PeerId)).toMatchObject({ uuid: filled(36, 1), publicKey: filled(32, 1) })
    expect(await admin.deploy(request(token, 'desk-02'))).toBe('bad-token')
  })

  it('cost a use only where a device was registered', async () => {
    const { token } = await admin.createToken({ uses: 1 })
    await registers('desk-01', 2)
    expect(await admin.deploy(request(token))).toBe('ID_TAKEN')
    for (const wrong of [
      { id: 'x' },
      { id: 'a b c d e' },
      { id: 'a/b/c/d' },
      { uuid: '' },
      { uuid: '!' },
      { pk: 'AA==' },
    ])
      expect(await admin.deploy({ ...request(token), ...wrong })).toBe('INVALID_INPUT')
    expect(await admin.deploy(request(token, 'desk-02'))).toBe('OK')
  })

  it('do nothing for a device that is deployed already', async () => {
    const { token } = await admin.createToken({ uses: 2 })
    await admin.deploy(request(token))
    expect(await admin.deploy(request(token))).toBe('OK')
    expect(await admin.tokens()).toMatchObject([{ usesLeft: 1 }])
  })

  it('are refused when they are unknown, revoked, lapsed or used up', async () => {
    const { token, name } = await admin.createToken({ lifetimeMs: 1_000 })
    expect(await admin.deploy(request('tryst_guess'))).toBe('bad-token')
    expect(await admin.deploy(request(''))).toBe('bad-token')
    nowMs += 1_000
    expect(await admin.deploy(request(token))).toBe('bad-token')
    await admin.revokeToken(name)
    expect(await admin.deploy(request(token))).toBe('bad-token')
    expect(identities.count()).toBe(0)
  })

  it('are not needed where everybody may register', async () => {
    admin = administration('open')
    expect(await admin.deploy(request('whatever'))).toBe('NOT_ENABLED')
    expect(identities.count()).toBe(0)
  })
})
