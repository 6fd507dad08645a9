/**
 * `npm run package:tar`: one file that holds a production build with its own Node, and the install.sh that installs it.
 * The same commit gives the same bytes.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ROOT } from '../tools/workspaces.mjs'
import { makeModesUniform, makeProgramTree, sizeOf } from './program-tree.mjs'
import { ARCHITECTURE, making, megabytes, OUTPUT, sourceDateEpoch, VERSION } from './release.mjs'

/** What `install.sh --docker` writes. */
const COMPOSE_FILES = [
  ...globSync('docker-compose*.yml', { cwd: ROOT }),
  '.env.example',
  'nginx',
  'observability',
  'proxies',
  'docker',
]

await making(() => {
  const work = mkdtempSync(join(tmpdir(), 'tryst-tar-'))
  try {
    const name = `tryst-${VERSION}-linux-${ARCHITECTURE}`
    const folder = join(work, name)
    mkdirSync(join(folder, 'tryst'), { recursive: true })
    makeProgramTree(join(folder, 'tryst'))
    cpSync(join(ROOT, 'install.sh'), join(folder, 'install.sh'))
    chmodSync(join(folder, 'install.sh'), 0o755)
    for (const part of ['systemd', 'etc'])
      cpSync(join(import.meta.dirname, part), join(folder, part), { recursive: true })
    mkdirSync(join(folder, 'compose'))
    for (const file of COMPOSE_FILES.filter((file) => existsSync(join(ROOT, file)))) {
      cpSync(join(ROOT, file), join(folder, 'compose', file), { recursive: true })
    }
    makeModesUniform(folder)
    const file = join(OUTPUT, `${name}.tar.gz`)
    pack(work, name, file)
    console.log(`${file}\n${megabytes(statSync(file).size)}, unpacked ${megabytes(sizeOf(folder))}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
})

function pack(work, name, file) {
  const tar = [
    '--sort=name',
    `--mtime=@${sourceDateEpoch()}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--format=gnu',
  ]
  execFileSync('tar', [...tar, '--use-compress-program=gzip -n -6', '-cf', file, '-C', work, name])
  const sum = createHash('sha256').update(readFileSync(file)).digest('hex')
  writeFileSync(`${file}.sha256`, `${sum}  ${basename(file)}\n`)
}
