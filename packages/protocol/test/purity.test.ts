import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const packageFolder = resolve(import.meta.dirname, '..')
const biome = join(dirname(createRequire(import.meta.url).resolve('@biomejs/biome/package.json')), 'bin', 'biome')

/** What the linter, with the repository's rules, says about a file of this package; beside it, so as not to leave one. */
function lint(source: string): { passes: boolean; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tryst-lint-'))
  try {
    mkdirSync(join(folder, 'packages/protocol/src'), { recursive: true })
    copyFileSync(resolve(packageFolder, '../../biome.json'), join(folder, 'biome.json'))
    cpSync(resolve(packageFolder, '../../tools/lint'), join(folder, 'tools/lint'), { recursive: true })
    writeFileSync(join(folder, 'packages/protocol/src/violation.ts'), source)
    const options = { cwd: folder, encoding: 'utf8' } as const
    const run = spawnSync(process.execPath, [biome, 'lint', '--vcs-enabled=false', '.'], options)
    return { passes: run.status === 0, output: run.stdout + run.stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('a package that also runs in a browser', () => {
  it('imports nothing of Node and nothing of the packages around it', () => {
    const sources = readdirSync(join(packageFolder, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ts|js)$/.test(name) && !/\.(test|d)\.ts$/.test(name))
      .map((name) => [name, readFileSync(join(packageFolder, 'src', name), 'utf8')] as const)
    expect(sources.length).toBeGreaterThan(10)
    const offenders = sources.filter(([, text]) => /(from|import|require)\s*\(?\s*['"](node:|@tryst\/)/.test(text))
    expect(offenders.map(([name]) => name)).toEqual([])
    const nodeGlobals = sources.filter(
      ([name, text]) => !name.startsWith('generated') && /\b(Buffer|process)\b/.test(text),
    )
    expect(nodeGlobals.map(([name]) => name)).toEqual([])
  })

  it.each([
    ["import { readFileSync } from 'node:fs'\n\nreadFileSync('x')\n", 'noNodejsModules'],
    ["import { WebSocket } from 'ws'\n\nnew WebSocket('x')\n", 'noRestrictedImports'],
    ["import { Relay } from '@tryst/relay'\n\nnew Relay()\n", 'noRestrictedImports'],
    ['export const home = process.env.HOME\n', 'noProcessEnv'],
  ])('is kept so by the linter, which refuses %j', (source, rule) => {
    const { passes, output } = lint(source)
    expect({ passes, names: output.includes(rule) }).toEqual({ passes: false, names: true })
  })

  it('passes the linter without a violation', () => {
    expect(lint('export const answer = 42\n')).toMatchObject({ passes: true })
  })
})
