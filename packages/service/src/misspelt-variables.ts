import { distance } from 'fastest-levenshtein'
import type { SettingsTable } from './setting.ts'
import { normaliseName, type SettingSource } from './setting-sources.ts'

/** Letters by which a name may differ from a known one to be taken for a slip of the pen. */
const MAX_LETTERS = 2

/** Read by nobody here, and set on purpose: by the reference's images, by its Pro version, by tests. */
const FOREIGN_NAMES = ['DATABASE_URL', 'PORT_FOR_API', 'KEY_FOR_API', 'KEY_PUB', 'KEY_PRIV', 'RELAY', 'ENCRYPTED_ONLY']

/** Common in any environment and within two letters of a name of ours. */
const EVERYDAY_NAMES = ['HOST', 'MAIL', 'UID', 'EUID', 'GID', 'TTY', 'MAKE', 'BASE', 'BIN', 'DEV', 'ENV', 'K8S', 'SORT']

/** A warning for every variable whose name looks like that of a setting, and is none. */
export function misspeltVariables(tables: readonly SettingsTable[], sources: readonly SettingSource[]): string[] {
  const settings = tables.flatMap((table) => Object.values(table))
  const known = new Set<string>()
  for (const { variable, alias, secret } of settings) {
    known.add(variable)
    if (alias) known.add(alias.variable)
    if (secret) known.add(`${variable}_FILE`)
  }
  const ignored = new Set([...known, ...FOREIGN_NAMES, ...EVERYDAY_NAMES].map(normaliseName))
  const warnings: string[] = []
  for (const source of sources) {
    if (source.kind === 'flags') continue
    for (const [normalised, { name }] of source.values) {
      if (ignored.has(normalised)) continue
      const near = [...known].filter((candidate) => distance(normalised, normaliseName(candidate)) <= MAX_LETTERS)
      if (near.length > 0)
        warnings.push(`${name} (${source.title}): is not a setting; did you mean ${near.join(' or ')}?`)
    }
  }
  return warnings
}
