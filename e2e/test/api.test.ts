import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { decodeClientConfig } from '@tryst/protocol'
import { apiPort, freePorts } from '../src/site/free-ports.ts'
import { RawConnection } from '../src/site/raw-connection.ts'
import { runToEnd, ServiceProcess } from '../src/site/service-process.ts'
import { Site } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const JSON_TYPE = { 'content-type': 'application/json' }

describe('the API beside its ID server', () => {
  let site: Site
  let url: string
  beforeAll(async () => {
    site = await Site.start({ programs: ['hbbs', 'api'], api: { env: { LOG_LEVEL: 'trace' } } })
    url = `http://127.0.0.1:${apiPort(site.ports)}`
  })
  afterAll(() => site.close())

  const post = (path: string, body: unknown) =>
    fetch(`${url}${path}`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) })

  it('satisfies a device', async () => {
    const device = { id: '271828182', uuid: 'MGI5ZjFjNmU=' }
    expect(await (await post('/api/heartbeat', { ...device, ver: 1_004_090, modified_at: 0 })).text()).toBe('{}')
    const inventory = { ...device, version: '1.4.9', os: 'debian / Linux 12', cpu: 'x', memory: '1GB', hostname: 'h' }
    expect(await (await post('/api/sysinfo', inventory)).text()).toBe('SYSINFO_UPDATED')
    expect(await (await fetch(`${url}/api/login-options`)).json()).toEqual([])
  })

  it('shows people what to enter, and nobody the secret key or who is there', async () => {
    const device = await site.device()
    const page = await (await fetch(`${url}/`)).text()
    const config = [...page.matchAll(/<code>([^<]+)</g)].map(([, text = '']) => decodeClientConfig(text)).find(Boolean)
    expect(config).toMatchObject({ host: `127.0.0.1:${site.ports.main}`, key: site.key })
    expect(page).not.toContain(readFileSync(join(site.folder, 'id_ed25519'), 'utf8').trim())
    expect(page).not.toContain(device.id)
  })

  it('writes nothing into its log that is a secret', async () => {
    await post('/api/login', { username: 'ada', password: 'very secret 1', id: '1', uuid: 'x', type: 'account' })
    await fetch(`${url}/api/ab`, { headers: { authorization: 'Bearer very-secret-2' } })
    await fetch(`${url}/api/oidc/auth-query?code=very-secret-3&id=1&uuid=x`)
    await fetch(`${url}/very-secret-4`)
    await waitUntil('all are in the log', () => site.api.log.some(({ route, status }) => status === 404 && !route))
    expect(site.api.output).not.toMatch(/very.secret/)
  })

  it('is not reached over the main port without encryption, where a password could be read', async () => {
    const heartbeats = () => site.api.log.filter(({ route }) => route === '/api/heartbeat').length
    const before = heartbeats()
    const connection = await RawConnection.open(site, 'main')
    connection.send({ httpProxyRequest: { method: 'POST', path: '/api/heartbeat', body: Buffer.from('{"id":"1"}') } })
    expect(await connection.client.ended(10_000)).toBeTruthy()
    expect(heartbeats()).toBe(before)
  })

  it('ends on SIGTERM with status 0, and is back on its port', async () => {
    expect(await site.api.stop()).toEqual({ code: 0, signal: null })
    await expect(fetch(url)).rejects.toThrow()
    await site.start('api')
    expect((await fetch(`${url}/api/login-options`)).status).toBe(200)
  })
})

describe('the API by itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tryst-api-'))
  const running: { stop(): Promise<unknown> }[] = []
  afterEach(() => Promise.all(running.splice(0).map((each) => each.stop())))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('makes no key, and says so until there is one', async () => {
    const api = apiPort(await freePorts())
    running.push(await ServiceProcess.start({ program: 'api', args: ['-p', `${api}`], folder }))
    expect(await (await fetch(`http://127.0.0.1:${api}/`)).text()).toContain('The key is not there yet')
    await expect(async () => readFileSync(join(folder, 'id_ed25519'))).rejects.toThrow('ENOENT')
  })

  it('says where it is healthy, and counts', async () => {
    const ports = await freePorts()
    const api = apiPort(ports)
    const { main } = ports
    const args = ['-p', `${api}`, '--metrics-bind', `127.0.0.1:${main}`]
    running.push(await ServiceProcess.start({ program: 'api', args, folder }))
    await fetch(`http://127.0.0.1:${api}/api/login-options`)
    expect(await (await fetch(`http://127.0.0.1:${main}/readyz`)).text()).toBe('ready\n')
    const metrics = await (await fetch(`http://127.0.0.1:${main}/metrics`)).text()
    expect(metrics).toContain('tryst_api_answers_total{kind="done"} 1')
  })

  it('says who has its port, and what to do', async () => {
    const api = apiPort(await freePorts())
    const other = createServer().listen(api)
    try {
      const { code, stdout } = await runToEnd({ program: 'api', args: ['-p', `${api}`], folder })
      expect(code).toBe(1)
      expect(stdout).toMatch(new RegExp(`TCP port ${api} is in use by .*; stop that program, or set PORT`))
    } finally {
      other.close()
    }
  })

  it('shows its flags with --help', async () => {
    const { code, stdout } = await runToEnd({ program: 'api', args: ['--help'], folder })
    expect(code).toBe(0)
    for (const flag of ['-p, --port', '--api-public-url', '--status-page']) expect(stdout).toContain(flag)
  })
})
