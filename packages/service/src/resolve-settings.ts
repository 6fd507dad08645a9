import type { ConfigProblem } from './config-error.ts'
import { codeOf } from './error-code.ts'
import type { ConfigOf, Setting, SettingsTable } from './setting.ts'
import { type Given, normaliseName, type ReadFile, type SettingSource } from './setting-sources.ts'

export interface Resolved<Table extends SettingsTable> {
  readonly config: ConfigOf<Table>
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

interface Found extends Given {
  readonly source: SettingSource
}

/** Looks every setting up in the sources, the strongest first, and reads what it finds. */
export function resolveSettings<Table extends SettingsTable>(
  table: Table,
  sources: readonly SettingSource[],
  readSecretFile: ReadFile,
): Resolved<Table> {
  const problems: ConfigProblem[] = []
  const warnings: string[] = []
  const config: Record<string, unknown> = {}
  for (const [property, setting] of Object.entries(table)) {
    const found = find(setting, sources, readSecretFile, problems)
    config[property] = found
      ? readValue(setting, found, problems, warnings)
      : aliasOrFallback(setting, sources, warnings)
  }
  // Every property of the table has been filled by its own schema or fallback.
  return { config: Object.freeze(config) as ConfigOf<Table>, problems, warnings }
}

function readValue(setting: Setting<unknown>, found: Found, problems: ConfigProblem[], warnings: string[]): unknown {
  if (found.text === '' && !setting.emptyIsValue) return setting.fallback
  const schema = found.source.kind === 'flags' ? setting.schema : (setting.variableSchema ?? setting.schema)
  const result = schema.safeParse(found.text)
  const shown = setting.secret ? found.name : `${found.name}=${found.text}`
  if (!result.success) {
    for (const { message } of result.error.issues) {
      problems.push({ setting: shown, source: found.source.title, remedy: message })
    }
    return setting.fallback
  }
  const warning = setting.warning?.(found.text)
  if (warning !== undefined) warnings.push(`${shown} (${found.source.title}): ${warning}`)
  return result.data
}

function find(
  setting: Setting<unknown>,
  sources: readonly SettingSource[],
  readSecretFile: ReadFile,
  problems: ConfigProblem[],
): Found | undefined {
  const name = normaliseName(setting.variable)
  for (const source of sources) {
    const given = source.values.get(name)
    const file = setting.secret ? source.values.get(`${name}-FILE`) : undefined
    if (given && file) {
      problems.push({
        setting: `${given.name}, ${file.name}`,
        source: source.title,
        remedy: 'both are set; keep one of the two',
      })
    }
    if (given) return { ...given, source }
    if (file) return secretFromFile(file, source, readSecretFile, problems)
  }
  return undefined
}

function secretFromFile(
  { name, text: path }: Given,
  source: SettingSource,
  readSecretFile: ReadFile,
  problems: ConfigProblem[],
): Found | undefined {
  const problem = (remedy: string) => {
    problems.push({ setting: `${name}=${path}`, source: source.title, remedy })
    return undefined
  }
  if (path === '') return undefined
  try {
    const text = readSecretFile(path)?.trim()
    if (text === undefined) return problem('there is no such file; name the file that holds the secret')
    if (text === '') return problem('the file is empty; put the secret into it')
    return { name, text, source }
  } catch (error) {
    return problem(`cannot be read (${codeOf(error)}); let this user read the file`)
  }
}

function aliasOrFallback(setting: Setting<unknown>, sources: readonly SettingSource[], warnings: string[]): unknown {
  if (setting.alias === undefined) return setting.fallback
  const { variable, schema } = setting.alias
  for (const source of sources) {
    const given = source.values.get(normaliseName(variable))
    if (given === undefined || given.text === '') continue
    const result = schema.safeParse(given.text)
    if (result.success && result.data !== undefined) return result.data
    warnings.push(`${given.name}=${given.text} (${source.title}): is not understood here; use ${setting.variable}`)
  }
  return setting.fallback
}
