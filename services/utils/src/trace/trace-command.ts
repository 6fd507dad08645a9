import { readAttemptCode, type TracePart } from '@tryst/rendezvous'
import type { CommandResult } from '../command-result.ts'
import { UsageError } from '../shared-redis.ts'
import { type OpenTracesInput, openTraces } from './open-traces.ts'
import { attemptJson, attemptsText, attemptText } from './trace-text.ts'
import { assemble, relatedTo } from './traced-attempt.ts'

export interface TraceInput extends OpenTracesInput {
  /** Undefined: the last ones are listed. */
  readonly code: string | undefined
  /** How many; as it was typed. */
  readonly last: string | undefined
  readonly output: 'json' | 'text'
}

const LISTED = 20
const MOST_LISTED = 10_000

/** `tryst trace`: what became of one attempt to connect, or of the last ones (docs/operating.md, trace). */
export async function runTrace({ code, last, output, ...where }: TraceInput): Promise<CommandResult> {
  const wanted = code === undefined ? undefined : readAttemptCode(code)
  if (code !== undefined && wanted === undefined)
    throw new UsageError(`${code} is no code of an attempt: six digits and letters, as in "offline (K7M2QX)"`)
  const count = readCount(last)
  const attempts = assemble(await readAll(where))
  if (wanted === undefined) {
    const listed = attempts.slice(0, count)
    const text =
      output === 'json' ? `${JSON.stringify(listed.map((each) => attemptJson(each)))}\n` : attemptsText(listed)
    return { output: text, status: 0 }
  }
  const attempt = attempts.find((each) => each.code === wanted)
  if (!attempt) return { output: notFound(wanted, output), status: 1 }
  const related = relatedTo(attempt, attempts)
  const text = output === 'json' ? `${JSON.stringify(attemptJson(attempt, related))}\n` : attemptText(attempt, related)
  return { output: text, status: 0 }
}

async function readAll(where: OpenTracesInput): Promise<readonly TracePart[]> {
  const parts: TracePart[] = []
  for (const store of await openTraces(where)) {
    try {
      for await (const part of store.read()) parts.push(part)
    } finally {
      await store.close()
    }
  }
  return parts
}

function readCount(last: string | undefined): number {
  if (last === undefined) return LISTED
  const count = Number(last)
  if (!Number.isInteger(count) || count < 1 || count > MOST_LISTED)
    throw new UsageError(`--last ${last}: use a whole number from 1 to ${MOST_LISTED}`)
  return count
}

function notFound(code: string, output: 'json' | 'text'): string {
  if (output === 'json') return `${JSON.stringify({ code, error: 'not found' })}\n`
  return (
    `nothing is known of ${code}: it is older than TRACE_KEEP, another server gave it out, or it was less than two ` +
    'seconds ago. tryst trace --last 20 lists the latest\n'
  )
}
