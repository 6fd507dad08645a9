import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { temporaryFolder } from './temporary-folder.ts'

/** A mount of its own that vanishes with the process: as root, else as root of a user namespace of its own. */
const OWN_MOUNTS = process.getuid?.() === 0 ? ['-m'] : ['-Urm']

function runOnSmallDisk(folder: string, kibibytes: number, command: string[]) {
  const mount = `mount -t tmpfs -o size=${kibibytes}k tmpfs "$0" && exec "$@"`
  return spawnSync('unshare', [...OWN_MOUNTS, 'sh', '-c', mount, folder, ...command], { encoding: 'utf8' })
}

function canMount(): boolean {
  const folder = temporaryFolder()
  const { status } = runOnSmallDisk(folder.path, 64, ['true'])
  folder.remove()
  return status === 0
}

const [suite, name] = canMount()
  ? [describe, 'a full disk']
  : [describe.skip, 'a full disk (skipped: this machine does not let us mount a small one)']

suite(name, () => {
  let folder: ReturnType<typeof temporaryFolder>

  beforeEach(() => {
    folder = temporaryFolder()
    mkdirSync(join(folder.path, 'disk'))
  })

  afterEach(() => folder.remove())

  function onDiskOf(kibibytes: number): Record<string, unknown> {
    const disk = join(folder.path, 'disk')
    const child = join(import.meta.dirname, 'full-disk.child.mjs')
    const { stdout, stderr } = runOnSmallDisk(disk, kibibytes, [process.execPath, child, disk])
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  }

  it.each([4, 24, 48])('of %i KiB is named at start', (kibibytes) => {
    expect(onDiskOf(kibibytes)).toEqual({
      opening: 'disk-full',
      message: expect.stringMatching(/the disk is full; free some space/),
    })
  })

  it('refuses what it cannot keep, keeps what it acknowledged, and goes on when there is space again', () => {
    expect(onDiskOf(600)).toEqual({
      refusal: 'StoreUnavailableError',
      message: expect.stringMatching(/the disk is full; free some space/),
      acknowledgedWhileFilling: true,
      foundWhileFull: true,
      acceptedAfterwards: true,
      lost: 0,
    })
  })
})
