import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { HOME_KINDS, type HomeKind } from './home.ts'
import type { Route, Way } from './theory.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/nat.md')

/** Something about sessions, by the initiator's home and the device's. */
export type Pairs<T> = Readonly<Record<HomeKind, Readonly<Record<HomeKind, T>>>>

const NAMES: Readonly<Record<HomeKind, string>> = {
  none: 'no NAT',
  'full-cone': 'full cone',
  'address-restricted': 'address restricted',
  'port-restricted': 'port restricted',
  symmetric: 'symmetric',
  double: 'double',
}

/** The table of a way, as it stands in the page. @param cells the routes that were seen, or that can be */
export function tableOf(cells: Pairs<readonly Route[]>): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  return [
    row(['from \\ to', ...HOME_KINDS.map((kind) => NAMES[kind])]),
    row(['---', ...HOME_KINDS.map(() => '---')]),
    ...HOME_KINDS.map((from) =>
      row([`**${NAMES[from]}**`, ...HOME_KINDS.map((to) => cells[from][to].map(word).join(' or '))]),
    ),
  ].join('')
}

const word = (route: Route) => (route === 'relay' ? 'relay' : 'direct')

/** The table of a way that stands in docs/nat.md. */
export function tableInPage(way: Way): string {
  const [, , table] = PLACE(way).exec(readFileSync(PAGE, 'utf8')) ?? []
  if (table === undefined) throw new Error(`docs/nat.md has no place for the table of ${way}`)
  return table
}

/** Puts a table in the place of the one in docs/nat.md. */
export function putIntoPage(way: Way, table: string): void {
  writeFileSync(
    PAGE,
    readFileSync(PAGE, 'utf8').replace(PLACE(way), (_, before) => `${before}${table}`),
  )
}

const PLACE = (way: Way) => new RegExp(`(<!-- ${way}: written by npm run nat -->\n\n)((?:\\|.*\n)*)`)
