import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'

const SERVICE = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)

let folder: string
const children: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-process-'))
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

/** A program of its own, in a folder of its own, with nothing in its environment but what is given. */
function start(
  script: string,
  { argv = [], env = {} }: { argv?: readonly string[]; env?: Record<string, string> } = {},
) {
  writeFileSync(join(folder, 'main.mjs'), script)
  const child = fork(join(folder, 'main.mjs'), argv, { cwd: folder, env, execArgv: [], silent: true })
  children.push(child)
  const ended = Promise.all([once(child, 'exit'), outputOf(child.stdout), outputOf(child.stderr)]).then(
    ([[status, signal], stdout, stderr]) => ({ status, signal, stdout, stderr }),
  )
  return { child, ended }
}

const outputOf = (stream: Readable | null) => (stream === null ? '' : text(stream))

const READ_CONFIG = `
  const { parseHbbsConfig, readConfigOrExit } = await import(${SERVICE})
  const { config, warnings } = readConfigOrExit(parseHbbsConfig)
  process.stdout.write(JSON.stringify({ port: config.port, warnings }))
  process.disconnect()`

describe('a program that reads its configuration', () => {
  it('takes it from its command line, the .env of its working directory and its environment', async () => {
    writeFileSync(join(folder, '.env'), 'PORT=30000\n')
    const { status, stdout } = await start(READ_CONFIG, { env: { PORT: '40000', PROT: '1' } }).ended
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ port: 30_000, warnings: [expect.stringContaining('PROT')] })
  })

  it('ends with 1 after telling everything that is wrong', async () => {
    const { status, stdout, stderr } = await start(READ_CONFIG, { argv: ['--prot', '1'], env: { BIND: 'x' } }).ended
    expect(status).toBe(1)
    expect(stdout).toBe('')
    expect(stderr).toMatch(
      /^2 settings are wrong:\n {2}--prot .* did you mean --port\?\n {2}BIND=x .*: use an IP address/,
    )
  })

  it.each([
    ['--help', /^Usage: hbbs/],
    ['--version', /^hbbs \d+\.\d+\.\d+\n$/],
  ])('ends with 0 after %s', async (flag, shown) => {
    const { status, stdout, stderr } = await start(READ_CONFIG, { argv: [flag], env: { BIND: 'x' } }).ended
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(shown)
  })
})

const SERVE = `
  const { createLogger, createMetrics, installShutdown, startHealthServer } = await import(${SERVICE})
  const log = createLogger({ service: 'hbbs', level: 'info' })
  const bind = { host: '127.0.0.1', port: 0 }
  const health = await startHealthServer({ bind, metrics: createMetrics(), readiness: () => ({ ready: true }) })
  installShutdown({ log, close: async () => { process.send('closing'); await CLOSE } })
  process.on('message', () => { FAIL })
  process.send(health.address.port)`

function serve({ close = 'health.close()', fail = '' } = {}) {
  return start(SERVE.replace('CLOSE', close).replace('FAIL', fail))
}

describe('a service', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('ends with 0 on %s, and says so', async (signal) => {
    const { child, ended } = serve()
    const [port] = await once(child, 'message')
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200)
    child.kill(signal)
    const { status, stdout } = await ended
    expect(status).toBe(0)
    expect(stdout).toMatch(new RegExp(`"reason":"${signal}","msg":"stopping".*\\n.*"msg":"stopped"`))
    await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow()
  })

  it('ends at once with 1 on a second signal', async () => {
    const { child, ended } = serve({ close: 'new Promise(() => {})' })
    await once(child, 'message')
    child.kill('SIGTERM')
    expect(await once(child, 'message')).toEqual(['closing', undefined])
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ status: 1, signal: null })
  })

  it.each([
    ['an exception', "throw new Error('never thought of')"],
    ['a rejection', "Promise.reject(new Error('never thought of'))"],
  ])('ends with 1 on %s that nobody handles, with the reason in its log', async (_, fail) => {
    const { child, ended } = serve({ fail })
    await once(child, 'message')
    child.send('fail')
    const { status, stdout } = await ended
    expect(status).toBe(1)
    expect(stdout).toMatch(/"level":"fatal".*never thought of/)
  })
})
