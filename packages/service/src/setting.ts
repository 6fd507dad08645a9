import type { z } from 'zod'

/** How a setting looks on a command line; its long flag is its variable's name: RELAY_SERVERS, `--relay-servers`. */
export interface Flag {
  readonly short?: string
  /** What the value is, as help shows it. */
  readonly value: string
}

/** Where docs/configuration.md tells of a setting; what names none stands with its servers. */
export type Topic =
  | 'Access'
  | 'API'
  | 'Several nodes'
  | 'Bandwidth'
  | 'Limits'
  | 'Logs, metrics and stopping'
  | 'Deprecated and unused'

/** One thing that an operator can set: everything that parsing, help, warnings and docs/configuration.md need. */
export interface Setting<Value> {
  /** Variable in the spelling of the documents; looked up in any mixture of case, `-` and `_`. */
  readonly variable: string
  readonly flag?: Flag
  readonly schema: z.ZodType<Value, string>
  /** Reads a variable, where that means something else than the flag of the same name. */
  readonly variableSchema?: z.ZodType<Value, string>
  readonly fallback: Value
  /** The default in words, where the value itself would not say it. */
  readonly fallbackText?: string
  /** Another variable that is looked at when this one is not set; what its schema reads as undefined is ignored. */
  readonly alias?: { readonly variable: string; readonly schema: z.ZodType<Value | undefined, string> }
  /** An empty text is a value of its own; elsewhere it means the default. */
  readonly emptyIsValue?: true
  /** Never shown, and also read from the file that `<variable>_FILE` or `--<flag>-file` names. */
  readonly secret?: true
  /** What to warn about when this value was given. */
  readonly warning?: (text: string) => string | undefined
  readonly topic?: Topic
  readonly meaning: string
  /** Why the default is what it is. */
  readonly reason?: string
}

export type SettingsTable = Readonly<Record<string, Setting<unknown>>>

/** The typed configuration that a table of settings describes. */
export type ConfigOf<Table extends SettingsTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer Value> ? Value : never
}

type Definition<Value, Fallback> = Omit<Setting<Value>, 'fallback' | 'variableSchema' | 'alias'> & {
  readonly fallback: Fallback
  readonly variableSchema?: z.ZodType<Value | Fallback, string>
  readonly alias?: { readonly variable: string; readonly schema: z.ZodType<Value | Fallback | undefined, string> }
}

/** Lets the type of a setting follow from its schema and its default. */
export function setting<Value, const Fallback = Value>(
  definition: Definition<Value, Fallback>,
): Setting<Value | Fallback> {
  return definition
}
