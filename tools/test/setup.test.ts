import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'

/** Stands in for npm: notes how it was called, and leaves what an installation leaves. */
const FAKE_NPM = `
const fs = require('node:fs')
fs.appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n')
if (process.env.NPM_FAILS_WITH) {
  console.error('npm error code ' + process.env.NPM_FAILS_WITH)
  process.exit(1)
}
fs.mkdirSync('node_modules/.bin', { recursive: true })
fs.writeFileSync('node_modules/.package-lock.json', '{}')
fs.mkdirSync('node_modules/turbo/bin', { recursive: true })
fs.writeFileSync('node_modules/turbo/bin/turbo', 'if (process.env.BUILD_FAILS) { console.error("does not compile"); process.exit(2) }')
if (!process.argv.includes('--ignore-scripts')) {
  fs.mkdirSync('node_modules/node/bin', { recursive: true })
  fs.writeFileSync('node_modules/node/bin/node', '#!/bin/sh\\nBROUGHT=yes exec "' + process.execPath + '" "$@"\\n', { mode: 0o755 })
}
`

/** Makes a Node say that it is an old one. */
const OLD_NODE = `Object.defineProperty(process, 'versions', { value: Object.assign({}, process.versions, { node: '20.1.0' }) })`

describe('the set-up step', () => {
  let clone: string

  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(clone, file)), { recursive: true })
    writeFileSync(join(clone, file), text)
  }
  const npmCalls = () => readFileSync(join(clone, 'npm-calls'), 'utf8').trim().split('\n')
  const environment = (extra: Record<string, string>) => {
    const { CI: _ci, npm_lifecycle_event: _event, ...rest } = process.env
    return { ...rest, npm_execpath: join(clone, 'npm-cli.js'), ...extra }
  }
  const nodeArguments = (node: 'old' | 'new') => (node === 'old' ? ['--require', join(clone, 'old-node.cjs')] : [])
  const setUp = (
    task: string,
    { node = 'new', env = {} }: { node?: 'old' | 'new'; env?: Record<string, string> } = {},
  ) =>
    spawnSync(process.execPath, [...nodeArguments(node), join(clone, 'tools/setup.cjs'), task], {
      cwd: clone,
      env: environment(env),
      encoding: 'utf8',
    })
  const says = ({ stdout }: SpawnSyncReturns<string>) => stdout.trim()

  beforeEach(() => {
    clone = mkdtempSync(join(tmpdir(), 'tryst-setup-'))
    mkdirSync(join(clone, 'tools'))
    copyFileSync(join(import.meta.dirname, '../setup.cjs'), join(clone, 'tools/setup.cjs'))
    write('npm-cli.js', FAKE_NPM)
    write('old-node.cjs', OLD_NODE)
    for (const file of ['package.json', 'package-lock.json', '.npmrc']) write(file, '{}')
    write('services/standalone/dist/main.js', "console.log(process.env.BROUGHT ? 'brought node' : 'own node')")
  })
  afterEach(() => rmSync(clone, { recursive: true }))

  it('installs exactly what the lockfile says in a fresh clone, and nothing the second time', () => {
    expect(says(setUp('start'))).toBe('own node')
    expect(says(setUp('start'))).toBe('own node')
    expect(npmCalls()).toEqual(['ci --ignore-scripts'])
  })

  it('brings a working copy up to date when its lockfile has changed', () => {
    setUp('build')
    write('package-lock.json', '{ "changed": true }')
    setUp('build')
    expect(npmCalls()).toEqual(['ci --ignore-scripts', 'install --no-save --ignore-scripts'])
  })

  it('always installs cleanly in CI', () => {
    setUp('build')
    write('package-lock.json', '{ "changed": true }')
    setUp('build', { env: { CI: 'true' } })
    expect(npmCalls()).toEqual(['ci --ignore-scripts', 'ci --ignore-scripts'])
  })

  it('goes on with the Node that was brought where the own one is too old', () => {
    expect(says(setUp('start', { node: 'old' }))).toBe('brought node')
    expect(npmCalls()).toEqual(['ci'])
  })

  it('brings a Node when an installation by a new one is used by an old one', () => {
    setUp('build')
    expect(says(setUp('start', { node: 'old' }))).toBe('brought node')
    expect(npmCalls()).toEqual(['ci --ignore-scripts', 'rebuild node --ignore-scripts=false'])
  })

  it.each([
    ['ENOTFOUND', 'the npm registry cannot be reached'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'NODE_EXTRA_CA_CERTS'],
    ['ENOSPC', 'the disk is full'],
    ['EUSAGE', 'package-lock.json does not fit package.json'],
  ])('says what to do when npm fails with %s, and tries again the next time', (code, text) => {
    const failed = setUp('start', { env: { NPM_FAILS_WITH: code } })
    expect(failed.status).toBe(1)
    expect(failed.stderr).toContain(text)
    expect(says(setUp('start'))).toBe('own node')
  })

  it('shows why a build failed, and starts nothing', () => {
    const failed = setUp('start', { env: { BUILD_FAILS: 'yes' } })
    expect(failed.status).toBe(1)
    expect(failed.stderr).toContain('does not compile')
    expect(failed.stdout).not.toContain('own node')
  })

  it('names the tasks that it knows', () => {
    const failed = setUp('strat')
    expect(failed.status).toBe(1)
    expect(failed.stderr).toContain("unknown task 'strat'; known: start, test")
  })

  it('ends with the status of the task', () => {
    write('services/standalone/dist/main.js', 'process.exit(7)')
    expect(setUp('start').status).toBe(7)
  })

  it('passes signals on to the task', async () => {
    write(
      'services/standalone/dist/main.js',
      "process.on('SIGTERM', () => { console.log('told to end'); process.exit(0) }); console.log('ready'); setInterval(() => {}, 1000)",
    )
    chmodSync(join(clone, 'tools/setup.cjs'), 0o644)
    const child = spawn(process.execPath, [join(clone, 'tools/setup.cjs'), 'start'], {
      cwd: clone,
      env: environment({}),
    })
    let shown = ''
    for await (const chunk of child.stdout) {
      shown += String(chunk)
      if (shown.endsWith('ready\n')) child.kill('SIGTERM')
    }
    if (child.exitCode === null) await once(child, 'exit')
    expect(shown).toBe('ready\ntold to end\n')
    expect(child.exitCode).toBe(0)
  })
})
