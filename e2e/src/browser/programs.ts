import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What the tests with a browser run, and the Debian package that brings it. */
const PACKAGES = { chromium: 'chromium', certutil: 'libnss3-tools', nginx: 'nginx' } as const

export type ProgramName = keyof typeof PACKAGES

/** Where Debian keeps programs; the path of an ordinary user lacks the second. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin']

const find = (name: string): string | undefined =>
  FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path))

const missing = Object.entries(PACKAGES).filter(([name]) => !find(name))

/** Why tests with a browser can't run here; undefined: they can. */
export const NO_BROWSER: string | undefined =
  missing.length === 0
    ? undefined
    : `not installed: ${missing.map(([name]) => name).join(', ')}; install the packages ${missing.map(([, name]) => name).join(', ')}`

/** The path of a program. @throws Error where it is missing */
export function program(name: ProgramName): string {
  const path = find(name)
  if (!path) throw new Error(`${name} is missing: install the package ${PACKAGES[name]}`)
  return path
}
