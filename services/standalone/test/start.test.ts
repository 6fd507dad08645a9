import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeClientConfig } from '@tryst/protocol'
import { freePort, isListening, register, StartedServer } from './started-server.ts'

describe('npm start', () => {
  let folder: string
  let port: number
  let servers: StartedServer[]

  const start = (env: Record<string, string> = {}) => {
    const server = new StartedServer({ DATA_DIR: folder, PORT: String(port), METRICS_BIND: '', ...env })
    servers.push(server)
    return server
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tryst-start-'))
    port = await freePort()
    servers = []
  })
  afterEach(async () => {
    for (const server of servers) await server.kill()
    rmSync(folder, { recursive: true })
  })

  it('serves devices and ends on a signal with status 0', async () => {
    const server = start()
    await server.ready()
    expect(await register(port, 'standalone1')).toBe('OK')
    server.signal('SIGTERM')
    expect(await server.ended).toEqual({ status: 0, signal: null })
    expect(await isListening(port)).toBe(false)
    expect(await isListening(port + 1)).toBe(false)
  })

  it('prints the key that it made, and a text that clients import', async () => {
    const server = start({ PUBLIC_HOST: 'hbbs.example.com' })
    await server.ready()
    const key = readFileSync(join(folder, 'id_ed25519.pub'), 'utf8')
    const config = server
      .lines()
      .map((line) => decodeClientConfig(line))
      .find((found) => found !== undefined)
    expect(config).toMatchObject({ host: `hbbs.example.com:${port}`, key })
    expect(server.output()).toContain('A new key pair was made')
  })

  it('says nothing of a new key at a second start', async () => {
    const first = start()
    await first.ready()
    first.signal('SIGINT')
    await first.ended
    const second = start()
    await second.ready()
    expect(second.output()).not.toContain('A new key pair was made')
  })

  it('reads .env in the data folder', async () => {
    writeFileSync(join(folder, '.env'), 'PUBLIC_HOST=from-env.example.com\n')
    const server = start()
    await server.ready()
    expect(server.output()).toContain(`from-env.example.com:${port}`)
  })

  it('reports every wrong setting at once and starts nothing', async () => {
    const server = start({ DRAIN_SECONDS: 'soon', LOG_LEVEL: 'loud' })
    expect((await server.ended).status).toBe(1)
    expect(server.output()).toMatch(/DRAIN_SECONDS=soon[\s\S]*LOG_LEVEL=loud|LOG_LEVEL=loud[\s\S]*DRAIN_SECONDS=soon/)
    expect(await isListening(port)).toBe(false)
  })

  it('says which folder cannot be used', async () => {
    const server = start({ DATA_DIR: '/sys/nowhere' })
    expect((await server.ended).status).toBe(1)
    expect(server.output()).toMatch(
      /^tryst: the data folder \/sys\/nowhere cannot be used .* set DATA_DIR to another one\n$/,
    )
  })

  it('takes one service down with the other, and says which one ended', async () => {
    const server = start()
    await server.ready()
    process.kill(server.serviceProcess('hbbr'), 'SIGKILL')
    expect((await server.ended).status).toBe(137)
    expect(server.output()).toContain('hbbr was ended by SIGKILL, so everything was stopped')
    expect(await isListening(port)).toBe(false)
  })

  it('leaves no service behind when it is killed', async () => {
    const server = start()
    await server.ready()
    server.signal('SIGKILL')
    await server.ended
    await server.servicesGone()
    expect(await isListening(port)).toBe(false)
  })

  it('says who has its port', async () => {
    const first = start()
    await first.ready()
    const second = start({ DATA_DIR: mkdtempSync(join(folder, 'second-')) })
    expect((await second.ended).status).toBe(1)
    // All services are refused; whichever says so first ends the others.
    const owners = `hbbs \\(process ${first.serviceProcess('hbbs')}\\)|hbbr \\(process ${first.serviceProcess('hbbr')}\\)|api \\(process ${first.serviceProcess('api')}\\)`
    expect(second.output()).toMatch(new RegExp(`port \\d+ is in use by (${owners})`))
    expect(await register(port, 'standalone2')).toBe('OK')
  })

  it('answers clients that believe in an API, and shows people what to enter', async () => {
    const server = start({ PUBLIC_HOST: 'hbbs.example.com' })
    await server.ready()
    const api = `http://127.0.0.1:${port - 2}`
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ id: 'standalone4', uuid: 'bWFjaGluZQ==', ver: 1_004_090, modified_at: 0 })
    const heartbeat = await fetch(`${api}/api/heartbeat`, { method: 'POST', headers, body })
    expect(await heartbeat.json()).toEqual({})
    const page = await (await fetch(`${api}/`)).text()
    expect(page).toContain(`hbbs.example.com:${port}`)
    expect(page).toContain(readFileSync(join(folder, 'id_ed25519.pub'), 'utf8'))
    expect(page).not.toContain(readFileSync(join(folder, 'id_ed25519'), 'utf8'))
  })

  it('starts no API where another one is named', async () => {
    const server = start({ API_URL: 'none' })
    await server.ready({ api: 'none' })
    expect(await isListening(port - 2)).toBe(false)
  })

  it('says what to do where somebody else has the port of the API', async () => {
    const other = createServer()
    await once(other.listen(port - 2), 'listening')
    try {
      const server = start()
      expect((await server.ended).status).toBe(1)
      expect(server.output()).toMatch(/TCP port \d+ is in use by .*; stop that program, or set PORT .* API_URL/)
    } finally {
      other.close()
    }
  })

  it('goes on without metrics where their usual ports are taken, and says by whom', async () => {
    const first = start({ METRICS_BIND: `127.0.0.1:${port + 5}` })
    await first.ready()
    const response = await fetch(`http://127.0.0.1:${port + 5}/readyz`)
    expect(await response.text()).toBe('ready\n')
    const other = await freePort()
    const second = start({
      PORT: String(other),
      DATA_DIR: mkdtempSync(join(folder, 'second-')),
      METRICS_BIND: `127.0.0.1:${port + 5}?`,
    })
    await second.ready()
    expect(second.output()).toMatch(/hbbs serves no metrics, since .* is taken by .* \(process \d+\)/)
    expect(await register(other, 'standalone3')).toBe('OK')
  })
})
