/** The workspaces of this repository: folder and package.json of each. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '..')

export function workspaces() {
  const { workspaces: patterns } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return globSync(
    patterns.map((pattern) => `${pattern}/package.json`),
    { cwd: ROOT },
  )
    .sort()
    .map((file) => ({
      folder: dirname(file),
      manifest: JSON.parse(readFileSync(join(ROOT, file), 'utf8')),
    }))
}

/** Where a workspace's figures of one kind of run are kept, e.g. `packages-protocol.test.json`. */
export function reportFile(folder, task) {
  return join(ROOT, 'reports', `${folder.replaceAll(/[/\\]/g, '-')}.${task.replaceAll(':', '-')}.json`)
}
