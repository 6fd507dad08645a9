import type { Row } from './rows.ts'

const HEADINGS = ['figure', 'CPU per unit', 'rate', 'baseline', 'ratio'] as const

/** The rows in aligned columns; an unsound figure is marked. */
export function renderTable(rows: readonly Row[]): string {
  const cells = rows.map(({ figure, cpuPerUnit, rate, baseline, ratio, isUnsound }) => {
    return [isUnsound ? `! ${figure}` : figure, cpuPerUnit, rate, baseline, ratio]
  })
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(' | ')
      .trimEnd()
  return [line(HEADINGS), widths.map((width) => '-'.repeat(width)).join('-|-'), ...cells.map(line)].join('\n')
}
