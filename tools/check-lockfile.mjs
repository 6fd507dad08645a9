/**
 * Fails when the lockfile would not install everywhere: a platform package that a native package names has no entry
 * (then `npm ci` fails on that platform, or everywhere), or an entry names a registry.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './workspaces.mjs'

const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
const problems = []

for (const [path, entry] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (!placesOf(path, name).some((place) => packages[place] !== undefined)) {
      problems.push(
        `${path} names ${name}@${version}, which has no entry: pin a version whose platform packages all exist`,
      )
    }
  }
  if (/^https?:/.test(entry.resolved ?? '')) {
    problems.push(`${path} names a registry: remove 'resolved' (see omit-lockfile-registry-resolved in .npmrc)`)
  }
}

for (const problem of problems) console.error(`package-lock.json: ${problem}`)
process.exitCode = problems.length === 0 ? 0 : 1

/** Where Node would look for a package from the folder `path`, innermost first. */
function placesOf(path, name) {
  const places = [`${path === '' ? '' : `${path}/`}node_modules/${name}`]
  if (path === '') return places
  const outer = path.lastIndexOf('node_modules/')
  return [...places, ...placesOf(outer <= 0 ? '' : path.slice(0, outer - 1), name)]
}
