import type { Examination } from './examine.ts'
import type { Finding, Severity } from './finding.ts'

/** Exit code: 0 nothing is wrong, 1 something is. */
export const statusOf = ({ findings }: Pick<Examination, 'findings'>): 0 | 1 =>
  findings.some(({ severity }) => severity === 'error') ? 1 : 0

const MARKS: Readonly<Record<Severity, string>> = { ok: 'ok     ', warning: 'WARNING', error: 'ERROR  ' }

/** One line: what, evidence, remedy. */
export function lineOf({ code, severity, what, evidence, remedy }: Finding): string {
  const named = severity === 'ok' ? '' : `[${code}] `
  const advice = remedy === '' ? '' : ` -> ${remedy}`
  return `${MARKS[severity]} ${named}${what} (${evidence})${advice}`.replace(/\s*[\r\n]+\s*/g, ' ')
}

/** The last line: what to begin with. */
export function summaryOf({ findings, leftOut }: Examination): string {
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length
  const first =
    findings.find(({ severity }) => severity === 'error') ?? findings.find(({ severity }) => severity === 'warning')
  const begin = first ? `; begin with [${first.code}]` : ''
  const rest = leftOut.length > 0 ? `; not checked because of that: ${leftOut.join(', ')}` : ''
  return `${count('error')} errors, ${count('warning')} warnings${begin}${rest}`
}

/** The whole examination for programs. */
export const jsonOf = (examination: Examination): string => {
  const { host, findings, leftOut } = examination
  return JSON.stringify({ host, status: statusOf(examination), findings, leftOut }, null, 2)
}
