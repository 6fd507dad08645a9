import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Difference, Group, GroupOptions, Transcript } from './transcript.ts'
import { readVectors } from './vectors.ts'

/** A row of the table of devices, blobs as hex. */
type Row = Record<string, string | number | null>

interface DatabaseVectors {
  readonly rows: { readonly cases: readonly Row[] } | readonly Row[]
  readonly takeOver: { readonly options: GroupOptions; readonly transcripts: readonly Transcript[] }
  readonly rowsAfterTakeOver: { readonly cases: readonly Row[] }
}

export const TAKE_OVER = 'take-over'
export const dataFolder = 'data-folder'

const vectors = () => readVectors<DatabaseVectors>('database.json')

/** The exchanges of a server that was started on a copy of the reference's folder. */
export function takeOverGroup(): Group {
  const { options, transcripts } = vectors().takeOver
  return { name: TAKE_OVER, options, transcripts }
}

/** Where the rows that a server leaves differ from those that the reference leaves. */
export function compareRows(folder: string): Difference[] {
  const { rows, rowsAfterTakeOver } = vectors()
  const before = 'cases' in rows ? rows.cases : rows
  const known = new Set(before.map(({ id }) => id))
  const expected = rowsAfterTakeOver.cases.map((row) => comparable(row, known))
  const found = readRows(folder).map((row) => comparable(row, known))
  const ids = [...new Set([...expected, ...found].map(({ id }) => id))]
  return ids.flatMap((id, step) => {
    const [reference, ours] = [expected, found].map((list) => describeRow(list.find((row) => row.id === id)))
    const difference = {
      group: TAKE_OVER,
      transcript: 'rows afterwards',
      step,
      reference: `${reference}`,
      found: `${ours}`,
    }
    return reference === ours ? [] : [difference]
  })
}

/** Rows that were there keep their guid and time; those of new ones vary. */
function comparable(row: Row, known: ReadonlySet<unknown>): Row {
  return known.has(row.id ?? '') ? row : { ...row, guid: 'new', created_at: 'new' }
}

function describeRow(row: Row | undefined): string {
  if (!row) return 'no row'
  return Object.entries(row)
    .sort()
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

function readRows(folder: string): Row[] {
  const database = new DatabaseSync(join(folder, 'db_v2.sqlite3'), { readOnly: true })
  try {
    return database
      .prepare('select * from peer order by id')
      .all()
      .map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, textOf(value)])))
  } finally {
    database.close()
  }
}

function textOf(value: unknown): string | number | null {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return typeof value === 'bigint' ? Number(value) : (value as string | number | null)
}
