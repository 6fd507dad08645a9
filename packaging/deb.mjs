/**
 * `npm run package:deb`: Debian packages that stand in for the reference server's. tryst-common has the programs and
 * their Node, the folders and the keys; tryst-hbbs and tryst-hbbr start one program each. The same commit gives the
 * same bytes.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { makeModesUniform, makeProgramTree, sizeOf } from './program-tree.mjs'
import {
  DEBIAN_ARCHITECTURE,
  making,
  megabytes,
  NODE_VERSION,
  OUTPUT,
  PackagingError,
  sourceDateEpoch,
  VERSION,
} from './release.mjs'

const HERE = import.meta.dirname
/** Who makes packages for others names himself, in Debian's own variables. `.invalid` is nobody's address (RFC 2606). */
const { DEBFULLNAME = 'Tryst project', DEBEMAIL = 'nobody@tryst.invalid' } = process.env
const MAINTAINER = `${DEBFULLNAME} <${DEBEMAIL}>`

/** @typedef {{ name: string, description: string[], relations: Record<string, string>, units: string[], commands: string[] }} DebianPackage */

/** @type {DebianPackage[]} */
const PACKAGES = [
  {
    name: 'tryst-common',
    description: [
      'programs and tools of the Tryst server for RustDesk clients',
      'The ID server, the relay, the HTTP API and their tools with a Node.js of their own, the folder of keys and',
      'devices, and the settings.',
    ],
    relations: {
      Depends: 'libc6 (>= 2.28), libstdc++6 (>= 9), libgcc-s1, passwd, debconf (>= 0.5) | debconf-2.0',
      Provides: 'rustdesk-server-utils',
      // A version is named so that only real packages are meant, not tryst-hbbs and tryst-hbbr, which provide these names:
      // the folder cannot belong to two servers.
      Conflicts: 'rustdesk-server-utils, rustdesk-server-hbbs (>= 0), rustdesk-server-hbbr (>= 0)',
      Replaces: 'rustdesk-server-utils, rustdesk-server-hbbs (>= 0), rustdesk-server-hbbr (>= 0)',
    },
    units: [],
    commands: ['rustdesk-utils', 'tryst'],
  },
  {
    name: 'tryst-hbbs',
    description: [
      'ID server for RustDesk clients',
      'Lets RustDesk clients find and reach one another; with the HTTP API and the status page.',
    ],
    relations: standInFor('rustdesk-server-hbbs'),
    units: ['rustdesk-hbbs.service', 'tryst-api.service'],
    commands: ['hbbs'],
  },
  {
    name: 'tryst-hbbr',
    description: ['relay for RustDesk clients', 'Carries sessions of RustDesk clients that cannot connect directly.'],
    relations: standInFor('rustdesk-server-hbbr'),
    units: ['rustdesk-hbbr.service'],
    commands: ['hbbr'],
  },
]

function standInFor(official) {
  return {
    Depends: `tryst-common (= ${VERSION}), init-system-helpers`,
    Recommends: 'systemd',
    Provides: official,
    Conflicts: official,
    Replaces: official,
  }
}

await making(() => {
  if (spawnSync('dpkg-deb', ['--version']).error) {
    throw new PackagingError(
      'dpkg-deb is missing: on Debian and Ubuntu it is there, elsewhere install the package dpkg.',
    )
  }
  const work = mkdtempSync(join(tmpdir(), 'tryst-deb-'))
  try {
    for (const description of PACKAGES) makePackage(description, join(work, description.name))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
})

/** @param {DebianPackage} description */
function makePackage({ name, description, relations, units, commands }, root) {
  mkdirSync(root)
  if (name === 'tryst-common') addCommonFiles(root)
  for (const unit of units) add(root, `lib/systemd/system/${unit}`, readFileSync(join(HERE, 'systemd', unit)))
  for (const command of commands) {
    mkdirSync(join(root, 'usr/bin'), { recursive: true })
    symlinkSync(`../lib/tryst/launchers/${command}`, join(root, 'usr/bin', command))
  }
  const copyright = readFileSync(join(HERE, 'debian/copyright'), 'utf8').replace('@NODE_VERSION@', NODE_VERSION)
  add(root, `usr/share/doc/${name}/copyright`, copyright)
  makeModesUniform(root)
  const installedKib = Math.ceil(sizeOf(root) / 1024)
  addControlFiles(root, { name, description, relations, units, installedKib })
  build(root, name)
}

function addCommonFiles(root) {
  mkdirSync(join(root, 'usr/lib/tryst'), { recursive: true })
  makeProgramTree(join(root, 'usr/lib/tryst'))
  add(root, 'etc/default/rustdesk-server', readFileSync(join(HERE, 'etc/default-rustdesk-server')))
  add(root, 'etc/logrotate.d/rustdesk-server', readFileSync(join(HERE, 'etc/logrotate-rustdesk-server')))
}

function addControlFiles(root, { name, description, relations, units, installedKib }) {
  const [title, ...lines] = description
  const fields = {
    ...{ Package: name, Version: VERSION, Architecture: DEBIAN_ARCHITECTURE, Maintainer: MAINTAINER },
    ...{ 'Installed-Size': `${installedKib}`, Section: 'net', Priority: 'optional', ...relations },
    Description: [title, ...lines.map((line) => ` ${line}`)].join('\n'),
  }
  const sums = filesOf(root).map((file) => `${md5(join(root, file))}  ${file}\n`)
  const configuration = filesOf(root).filter((file) => file.startsWith('etc/'))
  const control = Object.entries(fields).map(([field, value]) => `${field}: ${value}\n`)
  add(root, 'DEBIAN/control', control.join(''))
  add(root, 'DEBIAN/md5sums', sums.join(''))
  if (configuration.length > 0) add(root, 'DEBIAN/conffiles', configuration.map((file) => `/${file}\n`).join(''))
  for (const part of ['preinst', 'postinst', 'prerm', 'postrm', 'templates']) {
    const source = join(HERE, 'debian', `${units.length > 0 ? 'units' : name}.${part}`)
    if (!existsSync(source)) continue
    add(root, `DEBIAN/${part}`, readFileSync(source, 'utf8').replaceAll('@UNITS@', units.join(' ')))
    chmodSync(join(root, 'DEBIAN', part), part === 'templates' ? 0o644 : 0o755)
  }
}

function build(root, name) {
  const file = join(OUTPUT, `${name}_${VERSION}_${DEBIAN_ARCHITECTURE}.deb`)
  // gzip: older systems read nothing newer, and xz takes a minute more for 10 MB less.
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z6', '--build', root, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: `${sourceDateEpoch()}` },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  console.log(`${file}\n${megabytes(statSync(file).size)}`)
}

function add(root, path, content) {
  makeFolder(dirname(join(root, path)))
  writeFileSync(join(root, path), content)
  chmodSync(join(root, path), 0o644)
}

function makeFolder(folder) {
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
}

/** Regular files below a folder, by their paths in it. */
function filesOf(root) {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
    .sort()
}

function md5(file) {
  return createHash('md5').update(readFileSync(file)).digest('hex')
}
