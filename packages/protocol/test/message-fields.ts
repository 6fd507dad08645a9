import Long from 'long'
import type { Reader, Writer } from 'protobufjs/minimal.js'
import { fromHex, toHex } from './vectors.ts'

/** Messages as the vectors describe them: names of the protocol definition, bytes as hex, 64-bit numbers as text. */
export type Fields = { [name: string]: FieldValue }
export type FieldValue = string | number | boolean | Fields | FieldValue[]

interface FieldType {
  number: number
  kind: 'scalar' | 'enum' | 'message'
  type: string
  repeated?: boolean
  oneof?: string
}

export interface Schema {
  types: Record<string, Record<string, FieldType>>
  enums: Record<string, Record<string, number>>
}

/** What the generated code offers for each type of message. */
export interface Codec {
  encode(message: object): Writer
  decode(reader: Reader): object
}

export type Namespace = object

/** `RegisterPkResponse` or, for a nested one, `Misc.Inner`. */
export function codecOf(namespace: Namespace, type: string): Codec {
  let found: unknown = namespace
  for (const name of type.split('.')) found = (found as Record<string, unknown>)[name]
  if (found === undefined) throw new Error(`the schema has no message ${type}`)
  return found as Codec
}

/** The name that the generated code gives to a field. */
export const camelCase = (name: string): string =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** The object that the generated code encodes, from the description of a message. */
export function toProperties(schema: Schema, type: string, fields: Fields): Record<string, unknown> {
  const one = (field: FieldType, value: FieldValue): unknown => {
    if (field.kind === 'message') return toProperties(schema, field.type, value as Fields)
    if (field.kind === 'enum') return typeof value === 'number' ? value : schema.enums[field.type]?.[value as string]
    if (field.type === 'bytes') return fromHex(value as string)
    if (field.type === 'uint64' || field.type === 'int64')
      return Long.fromString(String(value), field.type === 'uint64')
    return value
  }
  return mapFields(schema, type, fields, (name) => name, camelCase, one)
}

/** The description of a message, from what the generated code decoded. */
export function toFields(schema: Schema, type: string, message: object): Fields {
  const one = (field: FieldType, value: unknown): FieldValue => {
    if (field.kind === 'message') return toFields(schema, field.type, value as object)
    if (field.kind === 'enum') {
      const names = Object.entries(schema.enums[field.type] ?? {})
      return names.find(([, number]) => number === value)?.[0] ?? (value as number)
    }
    if (field.type === 'bytes') return toHex(value as Uint8Array)
    if (field.type === 'uint64' || field.type === 'int64') return String(value)
    return value as FieldValue
  }
  return mapFields(schema, type, message as Fields, camelCase, (name) => name, one) as Fields
}

function mapFields<In, Out>(
  schema: Schema,
  type: string,
  source: Record<string, In>,
  nameIn: (name: string) => string,
  nameOut: (name: string) => string,
  one: (field: FieldType, value: In) => Out,
): Record<string, Out | Out[]> {
  const result: Record<string, Out | Out[]> = {}
  for (const [name, field] of Object.entries(schema.types[type] ?? {})) {
    if (!Object.hasOwn(source, nameIn(name))) continue
    const value = source[nameIn(name)]
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue
    result[nameOut(name)] = Array.isArray(value) ? value.map((item: In) => one(field, item)) : one(field, value as In)
  }
  return result
}
