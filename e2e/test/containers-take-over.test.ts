import { execFile } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { createDeviceIdentity, type ServerSettings } from '@tryst/client'
import { ComposeStack } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { carries, meetAtRelay, PASSWORD } from '../src/containers/meet.ts'
import { OfficialFolder } from '../src/containers/official-forms.ts'
import { haveVectors, readVectors, vectorsDir } from '../src/transcripts/vectors.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(120_000)
const BUILD_LIMIT_MS = 900_000

const TAG = process.env.TRYST_TAG ?? 'latest'
const MEBIBYTE = 1 << 20
/** What no server could serve: a key of five bytes, and an id of 128. */
const isUseless = ({ id, pk }: Row) => pk.length !== 64 || id.length > 100

const obstacle = NO_ENGINE ?? (haveVectors ? undefined : 'recorded data not found, set VECTORS_DIR')
const suite = obstacle === undefined ? describe : describe.skip

suite(`containers on the reference's folder${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  const place = mkdtempSync(join(tmpdir(), 'tryst-take-over-'))
  const sample = join(vectorsDir, 'data-folder')
  const data = join(place, 'data')
  const exported = join(place, 'exported')
  let key = ''
  let before: readonly Row[] = []
  const stacks: ComposeStack[] = []

  async function prepared(options: Parameters<typeof ComposeStack.prepare>[0]): Promise<ComposeStack> {
    const stack = await ComposeStack.prepare(options)
    stacks.push(stack)
    return stack
  }

  beforeAll(async () => {
    await (await ComposeStack.prepare()).build()
    copyFolder(sample, data)
    key = readFileSync(join(data, 'id_ed25519.pub'), 'utf8').trim()
    before = rowsOf(data)
  }, BUILD_LIMIT_MS)
  afterEach(async () => {
    for (const stack of stacks.splice(0)) await stack.remove()
  })
  afterAll(() => rmSync(place, { recursive: true, force: true }))

  /** A device that the reference knew is served as if nothing had happened, and nobody else gets its id. */
  async function expectKnownDevice(stack: ComposeStack, server: ServerSettings): Promise<void> {
    const { id, uuid, pk } = before.find((row) => row.id === '123456789') ?? {}
    const { cases } = readVectors<{ keys: { cases: { seed: string; publicKey: string }[] } }>('identity.json').keys
    const seed = Buffer.from(cases.find(({ publicKey }) => publicKey === pk)?.seed ?? '', 'hex')
    const identity = createDeviceIdentity({ id: `${id}`, uuid: Buffer.from(`${uuid}`, 'hex'), seed })
    const device = await stack.device({ server, identity, keyConfirmed: true, password: PASSWORD, mayListen: false })
    const meeting = await meetAtRelay(await stack.controller({ server }), device)
    // The server vouches for the key that it found in the folder, else there would be no encryption.
    expect(meeting.ours.isEncrypted).toBe(true)
    expect(await carries(meeting, MEBIBYTE)).toBe(true)

    const impostor = await stack.device({ server, identity: createDeviceIdentity({ id: identity.id }) })
    expect([device.id, impostor.id === identity.id]).toEqual([identity.id, false])
  }

  it('serve from a folder that is mounted as /data', async () => {
    const { port } = await ComposeStack.prepare()
    const folder = new OfficialFolder({ kind: 's6', port, tag: TAG })
    try {
      copyFolder(sample, folder.data)
      const stack = await prepared({ folder: folder.path, port })
      await stack.up()
      await expectKnownDevice(stack, { host: '127.0.0.1', port, key })
      expect(readFileSync(join(folder.data, 'id_ed25519.pub'), 'utf8').trim()).toBe(key)
      await stack.compose('stop')
      // The sign of life came from elsewhere than before, which alone may have changed.
      expect(rowsOf(folder.data).filter(({ id }) => before.some((row) => row.id === id))).toEqual(before)
    } finally {
      await stacks.pop()?.remove()
      folder.remove()
    }
  })

  it('bring it to Redis with every id and the key', async () => {
    // As the first start does: the folder becomes that of the programs' user.
    await promisify(execFile)('docker', ['run', '--rm', '-v', `${data}:/data`, `tryst/hbbs:${TAG}`, 'true'])
    const override = join(place, 'override.json')
    const volume = { driver: 'local', driver_opts: { type: 'none', o: 'bind', device: data } }
    writeFileSync(override, JSON.stringify({ volumes: { data: volume } }))
    const stack = await prepared({ files: ['docker-compose.yml', override] })
    await stack.up()
    expect(await stack.key()).toBe(key)

    // Status 2: something was left out.
    const command = stack.exec('hbbs', 'docker-entrypoint.sh', 'import', '/data')
    const report = await command.catch((error: { code?: unknown; stdout?: string }) => {
      expect(error).toMatchObject({ code: 2 })
      return `${error.stdout}`
    })
    const useless = before.filter(isUseless)
    expect(useless).toHaveLength(2)
    expect(report).toContain(`${before.length - 2} created, 0 there already, 2 left out`)
    for (const { id } of useless) expect(report).toContain(`left out: "${id}"`)

    await stack.exec('hbbs', 'docker-entrypoint.sh', 'export', '/data/exported')
    await stack.compose('cp', 'hbbs:/data/exported', exported)
    expect(rowsOf(exported)).toEqual(before.filter((row) => !isUseless(row)))
    expect(readFileSync(join(exported, 'id_ed25519.pub'), 'utf8').trim()).toBe(key)
    await expectKnownDevice(stack, await stack.server())
  })
})

type Row = Readonly<Record<'guid' | 'id' | 'uuid' | 'pk' | 'created_at', string>>

/** What has to stay of a folder's devices. */
function rowsOf(folder: string): Row[] {
  const database = new DatabaseSync(join(folder, 'db_v2.sqlite3'))
  try {
    const columns = 'lower(hex(guid)) as guid, id, lower(hex(uuid)) as uuid, lower(hex(pk)) as pk, created_at'
    return database.prepare(`select ${columns} from peer order by id`).all() as Row[]
  } finally {
    database.close()
  }
}

/** The recorded folder may be read only. */
function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const name of ['db_v2.sqlite3', 'db_v2.sqlite3-wal', 'id_ed25519', 'id_ed25519.pub']) {
    cpSync(join(from, name), join(to, name))
    chmodSync(join(to, name), name === 'id_ed25519' ? 0o600 : 0o644)
  }
}
