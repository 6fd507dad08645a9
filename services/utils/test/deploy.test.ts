import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Api, noAccounts, StateDeployments } from '@tryst/api'
import { rendezvous } from '@tryst/protocol'
import { createLogger, parseApiConfig } from '@tryst/service'
import { startTestRedis, whyNoRedis } from '../../../packages/state-redis/test/redis-fixture.ts'
import { runUtils } from '../src/utils.ts'
import { RunningServer, UdpDevice } from './running-server.ts'

const { OK, NOT_DEPLOYED } = rendezvous.RegisterPkResponse.Result
const LIMITS = { connectionsPerSource: 100, connectionsTotal: 100, requestsPerMinute: 1_000, loginsPerMinute: 1_000 }

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** What stock clients post, and what they look at. */
type Post = (body: object, token: string) => Promise<{ readonly status: number; readonly text: string }>

describe('a device that deploys itself at a server', () => {
  let work: string

  beforeEach(() => {
    work = mkdtempSync(join(tmpdir(), 'tryst-deploy-'))
    closing.push(async () => rmSync(work, { recursive: true, force: true }))
  })

  /** The API as it is configured in the environment. */
  async function startFor(env: Readonly<Record<string, string>>): Promise<Post> {
    const parsed = parseApiConfig({ argv: [], env, cwd: work, readFile: () => undefined, version: '1' })
    if (parsed.kind !== 'run') throw new Error('the environment asks for a text')
    const log = createLogger({ service: 'api', level: 'silent', format: 'json' })
    const deployments = new StateDeployments(parsed.config, log)
    closing.push(() => deployments.close())
    const api = await Api.start(
      {
        ...{ port: 0, bind: '127.0.0.1', version: '1', pathPrefix: '', trustedProxies: [], log, ...LIMITS },
        ...{ describeServer: undefined, onConnectionLimit: () => undefined },
      },
      { ...noAccounts, deployments },
    )
    closing.push(() => api.close())
    return async (body, token) => {
      const answer = await fetch(`http://127.0.0.1:${api.port}/api/devices/deploy`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      })
      return { status: answer.status, text: await answer.text() }
    }
  }

  async function startServer(env: Readonly<Record<string, string>>): Promise<RunningServer> {
    const server = await RunningServer.start(join(work, 'data'), env)
    closing.push(() => server.stop())
    return server
  }

  async function createToken(folder: string, env: Readonly<Record<string, string>>): Promise<string> {
    const argv = ['deploy-token', 'create', '--uses', '2', '--json']
    const { output } = await runUtils({ name: 'tryst', argv, version: '1', env, cwd: folder, print: () => {} })
    return JSON.parse(output).token
  }

  /** From NOT_DEPLOYED to a registered device, as a stock client goes. */
  async function deployAndRegister(post: Post, server: RunningServer, token: string) {
    const device = new UdpDevice('desk-01')
    closing.push(async () => device.close())
    expect(await device.register(server)).toBe(NOT_DEPLOYED)
    const posted = {
      id: device.id,
      uuid: Buffer.from(device.uuid).toString('base64'),
      pk: Buffer.from(device.publicKey).toString('base64'),
    }
    const deploy = (changes: object, withToken = token) => post({ ...posted, ...changes }, withToken)
    expect(await deploy({}, 'tryst_wrong')).toMatchObject({ status: 401 })
    expect(await deploy({ pk: 'AAAA' })).toMatchObject({ text: '{"result":"INVALID_INPUT"}' })
    expect(await deploy({})).toMatchObject({ status: 200, text: '{"result":"OK"}' })
    expect(await device.register(server)).toBe(OK)
    expect(await deploy({ uuid: 'b3RoZXI=' })).toMatchObject({ text: '{"result":"ID_TAKEN"}' })
    expect(await deploy({ id: 'desk-02' })).toMatchObject({ text: '{"result":"OK"}' })
    expect(await deploy({ id: 'desk-03' })).toMatchObject({ status: 401 })
    device.id = 'desk-02'
    expect(await device.register(server)).toBe(OK)
  }

  it('with a database registers by way of the server', async () => {
    const server = await startServer({ ACCESS_MODE: 'invite' })
    const token = await createToken(server.folder, {})
    const post = await startFor({ ADMIN_SOCKET: join(server.folder, 'admin.sock'), ACCESS_MODE: 'invite' })
    await deployAndRegister(post, server, token)
    expect(server.log).toContain('operator: device deployed')
    expect(server.log).not.toContain(token)
  })

  it('that is not there is told to come again', async () => {
    const post = await startFor({ ADMIN_SOCKET: join(work, 'admin.sock'), ACCESS_MODE: 'invite' })
    expect((await post({ id: 'desk-01' }, 't')).status).toBe(429)
  })

  it('where everybody may register is told that it need not', async () => {
    const post = await startFor({ ADMIN_SOCKET: join(work, 'admin.sock') })
    expect(await post({ id: 'desk-01' }, 't')).toEqual({ status: 200, text: '{"result":"NOT_ENABLED"}' })
  })

  const inRedis = whyNoRedis === undefined ? it : it.skip
  inRedis(`with Redis registers there${whyNoRedis === undefined ? '' : ` (skipped: ${whyNoRedis})`}`, async () => {
    const redis = await startTestRedis()
    closing.push(() => redis.stop())
    const { prefix } = redis.settings()
    const env = { REDIS_URL: redis.url, REDIS_PREFIX: prefix, ACCESS_MODE: 'invite' }
    await runUtils({ name: 'tryst', argv: ['genkeypair', 'data'], version: '1', env, cwd: work, print: () => {} })
    const server = await startServer(env)
    const token = await createToken(server.folder, env)
    const post = await startFor({ ...env, ADMIN_SOCKET: 'none' })
    await deployAndRegister(post, server, token)
  })
})
