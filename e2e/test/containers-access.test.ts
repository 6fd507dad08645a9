import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import { RawClient } from '../src/attack/raw-client.ts'
import { ComposeStack, REPOSITORY } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(180_000)
const BUILD_LIMIT_MS = 900_000

const { OK, NOT_DEPLOYED } = rendezvous.RegisterPkResponse.Result
const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`access to a server in containers${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tryst-access-'))
  const clients: RawClient[] = []
  let stack: ComposeStack

  beforeAll(async () => {
    await (await ComposeStack.prepare()).build()
    for (const name of ['docker-compose.yml', 'nginx'])
      cpSync(join(REPOSITORY, name), join(folder, name), { recursive: true })
    // As an operator sets it, for all programs.
    writeFileSync(join(folder, '.env'), 'ACCESS_MODE=invite\n')
    stack = await ComposeStack.prepare({ folder })
    await stack.up()
  }, BUILD_LIMIT_MS)

  afterAll(async () => {
    for (const client of clients) client.close()
    await stack?.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  async function register(id: string): Promise<number> {
    const client = await RawClient.open('udp', { main: stack.port, webSocket: stack.port + 2 }, '127.0.0.1')
    clients.push(client)
    client.send({ registerPk: { id, uuid: new Uint8Array(36).fill(1), pk: new Uint8Array(32).fill(1) } })
    return (await client.next('registerPkResponse')).registerPkResponse.result
  }

  const tryst = async (...words: string[]) => JSON.parse(await stack.exec('hbbs', 'tryst', ...words, '--json'))

  it('is what the operator says with docker compose exec', async () => {
    expect(await register('reception')).toBe(NOT_DEPLOYED)
    expect(await tryst('devices', 'invite', 'reception')).toMatchObject({ id: 'reception', mode: 'invite' })
    expect(await register('reception')).toBe(OK)
    expect(await tryst('devices', 'list')).toMatchObject([{ id: 'reception', state: 'known', online: true }])
    await tryst('devices', 'remove', 'reception')
    expect(await register('reception')).toBe(NOT_DEPLOYED)
  })

  it('is had with a token, by way of the API', async () => {
    const { token } = await tryst('deploy-token', 'create', '--uses', '1')
    const deploy = async (id: string) => {
      const answer = await fetch(`http://127.0.0.1:${stack.port - 2}/api/devices/deploy`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({
          ...{ id, uuid: Buffer.alloc(36, 1).toString('base64'), pk: Buffer.alloc(32, 1).toString('base64') },
        }),
      })
      return { status: answer.status, body: await answer.json() }
    }
    expect(await register('desk-01')).toBe(NOT_DEPLOYED)
    expect(await deploy('desk-01')).toEqual({ status: 200, body: { result: 'OK' } })
    expect(await register('desk-01')).toBe(OK)
    expect(await deploy('desk-02')).toEqual({ status: 401, body: { error: 'Invalid token' } })
  })
})
