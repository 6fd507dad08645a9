import { parse } from 'ini'
import type { ConfigProblem } from './config-error.ts'

/** Environment variables by name; compatible with `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface Given {
  /** As it was written. */
  readonly name: string
  readonly text: string
}

/** One place where settings are written, by normalised name. */
export interface SettingSource {
  readonly kind: 'flags' | 'file' | 'environment'
  /** For messages: `command line`, the file's path, `environment`. */
  readonly title: string
  readonly values: ReadonlyMap<string, Given>
}

/** The one form of a name in which case, `-` and `_` make no difference. */
export const normaliseName = (name: string): string => name.toUpperCase().replaceAll('_', '-')

/** Undefined where there is no such file; throws when it is there and cannot be read. */
export type ReadFile = (path: string) => string | undefined

/**
 * Variables by normalised name. Where one is set in several spellings the order is RELAY-SERVERS, RELAY_SERVERS,
 * relay-servers, relay_servers, then the alphabetically first (docs/configuration.md, names).
 */
export function environmentSource(environment: Environment): SettingSource {
  const values = new Map<string, Given>()
  for (const name of Object.keys(environment).sort()) {
    const text = environment[name]
    if (text === undefined) continue
    const normalised = normaliseName(name)
    const earlier = values.get(normalised)
    if (earlier === undefined || spellingRank(name) < spellingRank(earlier.name)) values.set(normalised, { name, text })
  }
  return { kind: 'environment', title: 'environment', values }
}

function spellingRank(name: string): number {
  const dashed = normaliseName(name)
  const spellings = [
    dashed,
    dashed.replaceAll('-', '_'),
    dashed.toLowerCase(),
    dashed.toLowerCase().replaceAll('-', '_'),
  ]
  const rank = spellings.indexOf(name)
  return rank === -1 ? spellings.length : rank
}

/** An INI file, of which the lines before the first section header count; of repeated names the last. */
export function fileSource(
  title: string,
  content: string,
): { readonly source: SettingSource; readonly problems: readonly ConfigProblem[] } {
  const values = new Map<string, Given>()
  const problems: ConfigProblem[] = []
  const lines = content.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  for (const [index, rawLine] of lines.entries()) {
    const line = rawLine.trim()
    if (line.startsWith('[')) break
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue
    const place = `${title}, line ${index + 1}`
    const [entry] = Object.entries(parse(line, { bracketedArray: false }))
    const name = entry?.[0] ?? ''
    if (!line.includes('=')) {
      problems.push({ setting: line, source: place, remedy: "write NAME=value, or begin a comment with '#'" })
    } else if (!/^[\w-]+$/.test(name)) {
      problems.push({
        setting: name,
        source: place,
        remedy: 'a name has letters, digits, - and _; write NAME=value alone',
      })
    } else {
      values.set(normaliseName(name), { name, text: String(entry?.[1]) })
    }
  }
  return { source: { kind: 'file', title, values }, problems }
}
