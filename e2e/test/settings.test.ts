import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { freePorts } from '../src/site/free-ports.ts'
import { type ProgramName, runToEnd, ServiceProcess } from '../src/site/service-process.ts'
import { Site } from '../src/site/site.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const PROGRAMS: readonly ProgramName[] = ['hbbs', 'hbbr']

let folder: string
const running: { stop(): Promise<unknown> }[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-settings-'))
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
  rmSync(folder, { recursive: true, force: true })
})

async function start(program: ProgramName, options: { args?: string[]; env?: Record<string, string>; in?: string }) {
  const service = await ServiceProcess.start({ program, folder: options.in ?? folder, ...options })
  running.push(service)
  return service
}

describe.each(PROGRAMS)('%s', (program) => {
  it('shows every flag with --help and ends with 0', async () => {
    const { code, stdout, stderr } = await runToEnd({ program, args: ['--help'], folder })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const flag of ['-p, --port', '-k, --key', '--help', '--version', '--drain-seconds']) {
      expect(stdout).toContain(flag)
    }
    expect(readdirSync(folder)).toEqual([])
  })

  it('shows its version with --version and ends with 0', async () => {
    for (const flag of ['--version', '-V']) {
      const { code, stdout } = await runToEnd({ program, args: [flag], folder })
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^hbb[sr] \d+\.\d+\.\d+\n$/) })
    }
  })

  it('names the nearest flag for one that it does not know, and ends with 1', async () => {
    const { code, stdout, stderr } = await runToEnd({ program, args: ['--prot', '21116'], folder })
    expect(code).toBe(1)
    expect(stdout + stderr).toMatch(/--prot .*did you mean --port\?/)
  })

  it('reports everything that is wrong at once, each with its remedy, and ends with 1', async () => {
    const { code, stdout, stderr } = await runToEnd({
      program,
      args: ['-p', 'abc', '--nonsense'],
      env: { METRICS_BIND: 'nowhere', CONNECTIONS_PER_SOURCE: '-5', TRUSTED_PROXIES: '300.1.1.1' },
      folder,
    })
    expect(code).toBe(1)
    const lines = (stdout + stderr).split('\n')
    for (const wrong of ['--port', '--nonsense', 'METRICS_BIND', 'CONNECTIONS_PER_SOURCE', 'TRUSTED_PROXIES']) {
      expect(lines.find((line) => line.includes(wrong))).toMatch(/\S+ .*\): \S+/)
    }
    expect(readdirSync(folder)).toEqual([])
  })

  it('warns about a variable that is nearly one of its own', async () => {
    const { main } = await freePorts()
    const service = await start(program, { env: { PORT: `${main}`, CONNECTION_PER_SOURCE: '5' } })
    expect((await service.logged(/CONNECTION_PER_SOURCE/)).msg).toContain('CONNECTIONS_PER_SOURCE')
  })

  it('reads a .env in its working directory', async () => {
    const { main } = await freePorts()
    writeFileSync(join(folder, '.env'), `PORT=${main}\n`)
    await start(program, {})
  })

  it('keeps its files in the working directory, whichever that is', async () => {
    const { main } = await freePorts()
    const elsewhere = join(folder, 'a folder with blanks', 'ä')
    mkdirSync(elsewhere, { recursive: true })
    const service = await start(program, { args: ['-k', '_'], env: { PORT: `${main}` }, in: elsewhere })
    await service.logged(/^Key: [\w+/]{43}=$/)
    const files = program === 'hbbs' ? ['db_v2.sqlite3'] : []
    expect(readdirSync(elsewhere)).toEqual(expect.arrayContaining(['id_ed25519', 'id_ed25519.pub', ...files]))
    expect(readdirSync(folder)).toEqual(['a folder with blanks'])
  })

  it('does not start on a port that is in use, and says who has it', async () => {
    const { main } = await freePorts()
    const env = { PORT: `${main}` }
    const first = await start(program, { env })
    const second = mkdtempSync(join(tmpdir(), 'tryst-settings-'))
    const { code, stdout, stderr } = await runToEnd({ program, env, folder: second })
    rmSync(second, { recursive: true, force: true })
    expect(code).toBe(1)
    expect(stdout + stderr).toMatch(
      new RegExp(`port ${program === 'hbbs' ? main : main + 1} is in use by .*${first.pid}`),
    )
    expect(first.isRunning).toBe(true)
  })

  it('serves metrics and health where METRICS_BIND says, and only there', async () => {
    const { main, webSocket } = await freePorts()
    const metricsPort = program === 'hbbs' ? main + 1 : webSocket
    await start(program, { env: { PORT: `${main}`, METRICS_BIND: `127.0.0.1:${metricsPort}` } })
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${metricsPort}${path}`)
      return { status: response.status, text: await response.text() }
    }
    expect(await get('/livez')).toEqual({ status: 200, text: 'ok\n' })
    expect(await get('/readyz')).toEqual({ status: 200, text: 'ready\n' })
    expect((await get('/metrics')).text).toContain('tryst_')
  })
})

describe('the ID server', () => {
  it('takes flags before --config before .env before the environment', async () => {
    const [first, second] = [await freePorts(), await freePorts()]
    writeFileSync(join(folder, 'settings.ini'), `port=${first.main}\nalways-use-relay=Y\n`)
    writeFileSync(join(folder, '.env'), `PORT=${second.main}\nALWAYS_USE_RELAY=N\n`)
    const byFile = await start('hbbs', { args: ['-c', 'settings.ini'], env: { PORT: '4' } })
    expect((await byFile.logged(/^listening$/)).ports).toMatchObject({ main: first.main })
    await byFile.stop()
    const byFlag = await start('hbbs', { args: ['-c', 'settings.ini', '-p', `${second.main}`] })
    expect((await byFlag.logged(/^listening$/)).ports).toMatchObject({ main: second.main })
  })

  it('takes its key from a file named by KEY_FILE', async () => {
    const { main } = await freePorts()
    writeFileSync(join(folder, 'key.txt'), 'a shared secret\n')
    await start('hbbs', { env: { PORT: `${main}`, KEY_FILE: 'key.txt' } })
    expect(readdirSync(folder)).not.toContain('id_ed25519')
  })

  it('ends with 1 when its key file is broken, and says which', async () => {
    const { main } = await freePorts()
    writeFileSync(join(folder, 'id_ed25519'), 'no key')
    writeFileSync(join(folder, 'id_ed25519.pub'), 'no key')
    const { code, stdout, stderr } = await runToEnd({ program: 'hbbs', env: { PORT: `${main}` }, folder })
    expect(code).toBe(1)
    expect(stdout + stderr).toContain('id_ed25519')
    expect(readdirSync(folder)).not.toContain('db_v2.sqlite3')
  })

  it('ends with 1 when its database is none, and leaves it as it is', async () => {
    const { main } = await freePorts()
    writeFileSync(join(folder, 'db_v2.sqlite3'), 'this is not a database, but a text of some length'.repeat(100))
    const { code, stdout, stderr } = await runToEnd({ program: 'hbbs', env: { PORT: `${main}` }, folder })
    expect(code).toBe(1)
    expect(stdout + stderr).toContain('db_v2.sqlite3')
  })
})

describe('the relay', () => {
  it('warns that anybody may use it when it has no key', async () => {
    const { main } = await freePorts()
    const service = await start('hbbr', { env: { PORT: `${main}` } })
    expect((await service.logged(/anybody may use this relay/)).level).toBe('warn')
    expect(readdirSync(folder)).toEqual([])
  })

  it('checks the key of the ID server whose folder it shares', async () => {
    const site = await Site.start()
    running.push({ stop: () => site.close() })
    expect((await site.hbbr.logged(/^Key: /)).msg).toBe(`Key: ${site.key}`)
    expect((await site.hbbs.logged(/^Key: /)).msg).toBe(`Key: ${site.key}`)
  })
})
