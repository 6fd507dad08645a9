import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { Controller, Device } from '@tryst/client'
import { DebianRoot, NO_DEBIAN_ROOT } from '../src/installed/debian-root.ts'
import { installFormerPackages } from '../src/installed/former-packages.ts'
import { UnitProcess } from '../src/installed/unit-process.ts'
import { apiPort, freePorts, type SitePorts } from '../src/site/free-ports.ts'
import { report } from '../src/site/report.ts'
import { haveVectors, vectorsDir } from '../src/transcripts/vectors.ts'

// A Debian is made and packages are built.
jest.setTimeout(400_000)

const repository = resolve(import.meta.dirname, '../..')
const DATA = '/var/lib/rustdesk-server'
const SETTINGS = '/etc/default/rustdesk-server'
const UNITS = ['rustdesk-hbbs.service', 'rustdesk-hbbr.service', 'tryst-api.service']

/** Makes packages as `npm run` does once everything is built. @returns their paths */
function makePackages(script: 'tar' | 'deb'): string[] {
  const args = [join(repository, 'packaging', `${script}.mjs`)]
  const env = { ...process.env, DEBFULLNAME: 'Packager', DEBEMAIL: 'packager@example.com' }
  const printed = execFileSync(process.execPath, args, { cwd: repository, encoding: 'utf8', env })
  return printed.split('\n').filter((line) => line.startsWith('/'))
}

/** Rows of a folder's database, by id. */
function devicesOf(folder: string): unknown[] {
  const database = new DatabaseSync(join(folder, 'db_v2.sqlite3'), { readOnly: true })
  try {
    return database.prepare('select hex(guid), id, hex(uuid), hex(pk), created_at from peer order by id').all()
  } finally {
    database.close()
  }
}

const suite = NO_DEBIAN_ROOT === undefined ? describe : describe.skip

suite(`installed on Debian${NO_DEBIAN_ROOT === undefined ? '' : ` (${NO_DEBIAN_ROOT})`}`, () => {
  let root: DebianRoot
  let ports: SitePorts
  const running: { close(): unknown }[] = []

  beforeAll(async () => {
    root = DebianRoot.make()
    ports = await freePorts()
  })
  afterEach(async () => {
    for (const one of running.splice(0).reverse()) await one.close()
  })
  afterAll(() => root?.remove())

  /** Runs the three programs as their units say. */
  async function startUnits(folder: string): Promise<UnitProcess[]> {
    const units: UnitProcess[] = []
    for (const unit of UNITS) {
      const started = await UnitProcess.start(root, join(folder, unit))
      running.push({ close: () => started.stop() })
      units.push(started)
    }
    return units
  }

  /** A device registers, and a relayed session with it carries data. */
  async function useServer(): Promise<string> {
    const server = { host: '127.0.0.1', port: ports.main, key: root.read(`${DATA}/id_ed25519.pub`).trim() }
    const device = new Device({ natType: 'asymmetric', server, password: 'p' })
    running.push(device)
    await device.start()
    await device.online()
    const controller = new Controller({ server })
    running.push(controller)
    const session = await controller.connect(device.id, { password: 'p', forceRelay: true })
    running.push(session)
    expect(await controller.queryOnline([device.id])).toEqual(new Map([[device.id, true]]))
    const page = await fetch(`http://127.0.0.1:${apiPort(ports)}/`)
    expect(await page.text()).toContain(server.key)
    return device.id
  }

  const ownerOf = (path: string) => root.run('stat', '-c', '%U', path).trim()
  const verify = (folder: string) =>
    root.try('systemd-analyze', 'verify', '--man=no', ...UNITS.map((unit) => join(folder, unit)))
  const usePorts = () => appendFileSync(root.path(SETTINGS), `PORT=${ports.main}\n`)

  describe('by install.sh', () => {
    const units = '/etc/systemd/system'
    let script: string

    beforeAll(() => {
      const [tar] = makePackages('tar') as [string]
      execFileSync('tar', ['-xzf', tar, '-C', root.path('/opt')])
      script = `/opt/${basename(tar, '.tar.gz')}/install.sh`
      report({ 'package:tar MB': statSync(tar).size / 1e6 })
    })

    it('is a script in which shellcheck finds nothing, as are those of the packages', () => {
      root.run('shellcheck', script, `${dirname(script)}/tryst/setup/prepare-folders`)
      cpSync(join(repository, 'packaging/debian'), root.path('/tmp/debian'), { recursive: true })
      const scripts = readdirSync(root.path('/tmp/debian')).filter((name) => /inst$|rm$/.test(name))
      // @UNITS@ is a list; debconf's library is not ours.
      const but = ['-e', 'SC2043,SC1091']
      root.run('shellcheck', ...but, ...scripts.map((name) => `/tmp/debian/${name}`))
    })

    it('brings programs on a Node of their own, units, and a user', () => {
      root.run(script, '--yes', '--public-host', '127.0.0.1')
      expect(root.run('sh', '-c', 'command -v node || echo none')).toBe('none\n')
      const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))
      for (const program of ['hbbs', 'hbbr', 'rustdesk-utils', 'tryst']) {
        expect(root.run(program, '--version')).toContain(version)
      }
      expect(root.run('systemctl', 'is-enabled', ...UNITS)).toBe('enabled\n'.repeat(UNITS.length))
      expect(root.read(SETTINGS)).toContain('\nPUBLIC_HOST=127.0.0.1\n')
      expect([ownerOf(DATA), ownerOf('/var/log/rustdesk-server')]).toEqual(['tryst', 'root'])
    })

    it('has units in which systemd finds nothing to say', () => {
      expect(verify(units)).toEqual({ status: 0, stdout: '', stderr: '' })
    })

    it('serves a device and a session, and stops when told', async () => {
      usePorts()
      const started = await startUnits(units)
      await useServer()
      expect(ownerOf(`${DATA}/id_ed25519`)).toBe('tryst')
      for (const one of running.splice(UNITS.length).reverse()) await one.close()
      expect(await Promise.all(started.map((unit) => unit.stop()))).toEqual([0, 0, 0])
    })

    it('keeps key, devices and settings when it is run again', () => {
      const before = [root.read(`${DATA}/id_ed25519`), root.read(SETTINGS), devicesOf(root.path(DATA))]
      root.run(script, '--yes')
      expect([root.read(`${DATA}/id_ed25519`), root.read(SETTINGS), devicesOf(root.path(DATA))]).toEqual(before)
    })

    it('removes the units that are not wanted any more', () => {
      root.run(script, '--yes', '--only', 'hbbr')
      expect(UNITS.filter((unit) => root.has(join(units, unit)))).toEqual(['rustdesk-hbbr.service'])
    })

    it.each([
      [['--public-host', 'https://example.com'], /host name/],
      [['--only', 'hbbx'], /'hbbx'/],
      [['--delete-data'], /--uninstall/],
      [['--frobnicate'], /--frobnicate/],
      [['--file', '/nowhere.tar.gz'], /does not exist/],
    ])('refuses %j', (args, reason) => {
      const { status, stderr } = root.try(script, '--yes', ...args)
      expect([status, stderr]).toEqual([1, expect.stringMatching(reason)])
    })

    it('writes compose files that need no sources', () => {
      root.run(script, '--docker', '/opt/compose')
      expect(root.read('/opt/compose/docker-compose.yml')).not.toContain('build:')
      expect(root.has('/opt/compose/nginx/nginx.conf')).toBe(true)
    })

    it('leaves keys and devices when it uninstalls, and deletes them only when told', () => {
      root.run(script, '--uninstall')
      const left = ['/usr/lib/tryst', '/usr/bin/hbbs', join(units, 'rustdesk-hbbr.service'), `${DATA}/id_ed25519`]
      expect(left.filter((path) => root.has(path))).toEqual([`${DATA}/id_ed25519`])
      root.run(script, '--uninstall', '--delete-data')
      expect(root.has(`${DATA}/id_ed25519`)).toBe(true)
      cpSync(root.path(DATA), root.path('/opt/former'), { recursive: true })
      root.run(script, '--uninstall', '--delete-data', '--yes')
      expect([DATA, SETTINGS].filter((path) => root.has(path))).toEqual([])
    })

    it('takes the folder of a server over that ran elsewhere', () => {
      root.run(script, '--yes', '--import', '/opt/former')
      expect(root.read(`${DATA}/id_ed25519`)).toBe(root.read('/opt/former/id_ed25519'))
      expect(devicesOf(root.path(DATA))).toEqual(devicesOf(root.path('/opt/former')))
      expect(readdirSync(root.path(DATA)).map((name) => ownerOf(join(DATA, name)))).not.toContain('root')
      root.run(script, '--uninstall', '--delete-data', '--yes')
    })
  })

  const withVectors = haveVectors ? describe : describe.skip
  withVectors(`by Debian packages${haveVectors ? '' : ` (skipped: ${vectorsDir} is missing; set VECTORS_DIR)`}`, () => {
    const units = '/lib/systemd/system'
    const sample = join(vectorsDir, 'data-folder')
    let packages: string[]

    beforeAll(() => {
      packages = makePackages('deb').map((file) => {
        const inside = `/tmp/${file.split('/').at(-1)}`
        cpSync(file, root.path(inside))
        return inside
      })
      cpSync(join(repository, 'install.sh'), root.path('/opt/install.sh'))
      installFormerPackages(root)
      cpSync(sample, root.path(DATA), { recursive: true })
      for (const name of readdirSync(root.path(DATA))) chmodSync(root.path(join(DATA, name)), 0o600)
    })

    it('leaves the field to the former packages where install.sh meets them', () => {
      const { status, stderr } = root.try('/opt/install.sh', '--yes')
      expect([status, stderr]).toEqual([1, expect.stringContaining('apt-get remove rustdesk-server-hbbs')])
    })

    it('take the place of the former ones, with their key and devices', () => {
      const printed = root.run('dpkg', '-i', ...packages)
      expect(printed).toContain('Do not purge rustdesk-server-hbbs')
      expect(root.run('dpkg', '--list', 'rustdesk-server-*')).not.toMatch(/^ii/m)
      expect(root.run('systemctl', 'is-enabled', ...UNITS)).toBe('enabled\n'.repeat(UNITS.length))
      expect(root.read(`${DATA}/id_ed25519`)).toBe(readFileSync(join(sample, 'id_ed25519'), 'utf8'))
      expect(devicesOf(root.path(DATA))).toEqual(devicesOf(sample))
      expect([DATA, `${DATA}/id_ed25519`, `${DATA}/db_v2.sqlite3`].map(ownerOf)).toEqual(['tryst', 'tryst', 'tryst'])
      // Its relay was open to clients without the key.
      expect(root.read('/etc/default/rustdesk-hbbr')).toMatch(/^KEY=$/m)
    })

    it('name who has made them', () => {
      expect(root.run('dpkg', '--status', 'tryst-common')).toContain('\nMaintainer: Packager <packager@example.com>\n')
    })

    it('have units in which systemd finds nothing to say', () => {
      expect(verify(units)).toEqual({ status: 0, stdout: '', stderr: '' })
    })

    it('serve new devices beside those that were known', async () => {
      usePorts()
      await startUnits(units)
      const id = await useServer()
      const known = devicesOf(sample).map((row) => (row as { id: string }).id)
      const now = devicesOf(root.path(DATA)).map((row) => (row as { id: string }).id)
      expect(new Set(now)).toEqual(new Set([...known, id]))
    })

    it('keep settings, devices and what was disabled through an upgrade', () => {
      root.run('systemctl', 'disable', 'tryst-api.service')
      const before = [root.read(SETTINGS), devicesOf(root.path(DATA))]
      root.run('dpkg', '-i', ...packages)
      expect([root.read(SETTINGS), devicesOf(root.path(DATA))]).toEqual(before)
      expect(root.try('systemctl', 'is-enabled', ...UNITS).stdout).toBe('enabled\nenabled\ndisabled\n')
    })

    const ours = ['tryst-hbbs', 'tryst-hbbr', 'tryst-common']

    it('leave keys, devices and settings when they are removed', () => {
      root.run('dpkg', '--remove', ...ours)
      const left = ['/usr/lib/tryst/bin/node', '/usr/bin/hbbs', SETTINGS, `${DATA}/id_ed25519`, `${DATA}/db_v2.sqlite3`]
      expect(left.filter((path) => root.has(path))).toEqual(left.slice(2))
    })

    it('leave keys and devices even when they are purged, unless that was asked and answered', () => {
      root.run('dpkg', '--purge', ...ours)
      expect([SETTINGS, '/etc/default/rustdesk-hbbr', `${DATA}/id_ed25519`].map((path) => root.has(path))).toEqual([
        ...[false, false, true],
      ])
      root.run('dpkg', '-i', ...packages)
      root.run('sh', '-c', 'echo tryst-common tryst-common/delete-keys boolean true | debconf-set-selections')
      root.run('dpkg', '--purge', ...ours)
      expect([DATA, '/var/log/rustdesk-server'].filter((path) => root.has(path))).toEqual([])
      expect(root.try('getent', 'passwd', 'tryst').status).toBe(2)
    })
  })
})

describe('install.sh --docker', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tryst-compose-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('writes what docker compose needs, and keeps the other settings when it is run again', () => {
    const run = (...args: string[]) =>
      execFileSync('sh', [join(repository, 'install.sh'), '--docker', folder, ...args], { encoding: 'utf8' })
    expect(run('--public-host', 'old.example.com')).toContain('docker compose up -d')
    appendFileSync(join(folder, '.env'), 'KEY=_\n')
    run('--public-host', 'hbbs.example.com')
    expect(readFileSync(join(folder, '.env'), 'utf8')).toBe('KEY=_\nPUBLIC_HOST=hbbs.example.com\n')
    expect(readFileSync(join(folder, 'docker-compose.yml'), 'utf8')).toContain(`context: "${repository}"`)
    const files = readdirSync(folder).filter((name) => /^docker-compose.*\.yml$/.test(name))
    const compose = files.map((name) => readFileSync(join(folder, name), 'utf8')).join('')
    expect(compose).not.toContain('context: .,')
    const mounted = [...compose.matchAll(/[ "]\.\/([^:]+):/g)].map(([, path]) => `${path}`)
    expect(mounted.filter((path) => spawnSync('test', ['-e', join(folder, path)]).status !== 0)).toEqual([])
  })

  it('leaves a folder alone that somebody else uses', () => {
    const theirs = join(folder, 'theirs')
    mkdirSync(join(theirs, 'nginx'), { recursive: true })
    const { status, stderr } = spawnSync('sh', [join(repository, 'install.sh'), '--docker', theirs], {
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([1, expect.stringContaining('empty folder')])
    expect(readdirSync(theirs)).toEqual(['nginx'])
  })
})

describe('docs/install.bn.md', () => {
  /** What a page tells apart from its language: levels of headings, cells of tables, commands. */
  const outline = (page: string) =>
    readFileSync(join(repository, 'docs', page), 'utf8')
      .replaceAll(/```mermaid[^`]*```/g, '')
      .split('\n')
      .flatMap((line) => {
        if (/^#+ /.test(line)) return [line.replace(/ .*/, '')]
        if (line.startsWith('|')) return [`${line.split('|').length} cells`]
        // Comments and placeholders are translated.
        return /^(sudo |npm |docker |git |cd |tar |echo |cat )/.test(line)
          ? [line.replace(/\s+# .*/, '').replace(/<.*>/, '')]
          : []
      })

  it('says what docs/install.md says', () => {
    expect(outline('install.bn.md')).toEqual(outline('install.md'))
  })
})
