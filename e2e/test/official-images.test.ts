import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { createDeviceIdentity, type DeviceSession } from '@tryst/client'
import { encodeBase64 } from '@tryst/protocol'
import { generateSecretKey, publicHalf } from '@tryst/service'
import { ComposeStack, REPOSITORY } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { OfficialFolder, type OfficialForm } from '../src/containers/official-forms.ts'
import { exchange } from '../src/site/exchange.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(120_000)
const BUILD_LIMIT_MS = 900_000

const PASSWORD = 'correct horse'
const TAG = process.env.TRYST_TAG ?? 'latest'
/** User of the programs, where nothing else is said. */
const UID = 1000

const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`a compose file for the official images${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  const opened: { readonly stack: ComposeStack; readonly folder: OfficialFolder }[] = []

  beforeAll(async () => {
    const images = await ComposeStack.prepare({ folder: REPOSITORY })
    await images.build()
  }, BUILD_LIMIT_MS)
  afterEach(async () => {
    for (const { stack, folder } of opened.splice(0)) {
      await stack.remove()
      folder.remove()
    }
  })

  /** Started as its operator would. */
  async function begin(kind: OfficialForm['kind'], more: Partial<OfficialForm> = {}, prepare?: (data: string) => void) {
    const { port } = await ComposeStack.prepare()
    const folder = new OfficialFolder({ kind, port, tag: TAG, ...more })
    prepare?.(folder.data)
    const stack = await ComposeStack.prepare({ folder: folder.path, port })
    opened.push({ stack, folder })
    await stack.compose('up', '--detach')
    return { stack, data: folder.data }
  }

  /** The same, and healthy. */
  async function start(...args: Parameters<typeof begin>) {
    const begun = await begin(...args)
    await begun.stack.up()
    return begun
  }

  const publicKeyIn = (data: string) =>
    waitUntil('the key is there', () => {
      try {
        return readFileSync(join(data, 'id_ed25519.pub'), 'utf8').trim()
      } catch {
        return undefined
      }
    })

  async function expectRelayedSession(stack: ComposeStack, key: string): Promise<void> {
    const server = { host: '127.0.0.1', port: stack.port, key }
    const device = await stack.device({ server, password: PASSWORD, mayListen: false })
    const controller = await stack.controller({ server })
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    const ours = await controller.connect(device.id, { password: PASSWORD })
    const theirs = await within('the device has a session', accepted)
    expect(ours.path).toBe('relay')
    const { forth } = await exchange(ours, theirs, 1 << 20)
    expect(forth.received).toBe(forth.sent)
  }

  it.each(['classic', 'classic in the host network', 's6'] as const)(
    'starts in the form %s, with its folder',
    async (kind) => {
      const { stack, data } = await start(kind)
      await expectRelayedSession(stack, await publicKeyIn(data))
      // What root owned belongs to the programs, which are not root.
      expect([statSync(data).uid, statSync(join(data, 'id_ed25519')).uid]).toEqual([UID, UID])
      expect(readdirSync(data)).toEqual(expect.arrayContaining(['db_v2.sqlite3', 'id_ed25519', 'id_ed25519.pub']))
    },
  )

  it.each(['classic', 's6'] as const)('keeps key and devices in the form %s when it is made anew', async (kind) => {
    const { stack, data } = await begin(kind)
    const key = await publicKeyIn(data)
    const identity = createDeviceIdentity()
    const server = { host: '127.0.0.1', port: stack.port, key }
    const device = await stack.device({ server, identity })
    await stack.dismissGuests()
    await stack.compose('down', '--timeout', '3')
    await stack.compose('up', '--detach')
    expect(await publicKeyIn(data)).toBe(key)
    // The same again is known, and somebody else under this id is not let in.
    expect((await stack.device({ server, identity })).id).toBe(device.id)
    const impostor = await stack.device({ server, identity: createDeviceIdentity({ id: identity.id }) })
    expect(impostor.id).not.toBe(device.id)
  })

  it('takes the keys of a folder that root owns', async () => {
    const secretKey = generateSecretKey()
    const { stack, data } = await start('classic', {}, (folder) => {
      writeFileSync(join(folder, 'id_ed25519'), encodeBase64(secretKey), { mode: 0o600 })
      writeFileSync(join(folder, 'id_ed25519.pub'), encodeBase64(publicHalf(secretKey)))
    })
    expect(await publicKeyIn(data)).toBe(encodeBase64(publicHalf(secretKey)))
    await expectRelayedSession(stack, encodeBase64(publicHalf(secretKey)))
  })

  it('takes a key pair from KEY_PUB and KEY_PRIV', async () => {
    const secretKey = generateSecretKey()
    const publicKey = encodeBase64(publicHalf(secretKey))
    const { stack, data } = await start('s6', { env: { KEY_PUB: publicKey, KEY_PRIV: encodeBase64(secretKey) } })
    expect(await publicKeyIn(data)).toBe(publicKey)
    expect(statSync(join(data, 'id_ed25519')).mode & 0o777).toBe(0o600)
    await expectRelayedSession(stack, publicKey)
  })

  it('takes a key pair from the secrets key_pub and key_priv', async () => {
    const secretKey = generateSecretKey()
    const publicKey = encodeBase64(publicHalf(secretKey))
    const secrets = (['pub', 'priv'] as const).map((half) => `  key_${half}: { file: ./key_${half} }\n`).join('')
    const more = `    secrets: [key_pub, key_priv]\nsecrets:\n${secrets}`
    const { stack, data } = await start('s6', { more }, (folder) => {
      writeFileSync(join(folder, '../key_pub'), publicKey)
      writeFileSync(join(folder, '../key_priv'), encodeBase64(secretKey), { mode: 0o600 })
    })
    expect(await publicKeyIn(data)).toBe(publicKey)
    await expectRelayedSession(stack, publicKey)
  })

  it('stops where it is given keys that are no pair, and says so', async () => {
    const env = { KEY_PUB: encodeBase64(publicHalf(generateSecretKey())), KEY_PRIV: encodeBase64(generateSecretKey()) }
    const { stack, data } = await begin('s6', { env })
    await waitUntil('it says why', async () => (await stack.logs()).includes('are no pair'))
    expect(readdirSync(data)).toEqual([])
  })
})
