import { type Endpoint, StreamClient } from './tcp-client.ts'
import type { ConsoleStep } from './transcript.ts'

const ANSWER_WITHIN_MS = 5000
const BETWEEN_SEGMENTS_MS = 100

/** Sends one command to the text console of a server; the answer is everything until it closes. */
export async function askConsole(step: ConsoleStep, from: string, server: Endpoint): Promise<string> {
  const client = new StreamClient(from, server)
  await client.open()
  try {
    const segments = step.segments ?? [step.command ?? Buffer.from(step.hex ?? '', 'hex')]
    for (const [i, segment] of segments.entries()) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, BETWEEN_SEGMENTS_MS))
      client.sendBytes(Buffer.from(segment as string))
    }
    const ending = await client.ended(ANSWER_WITHIN_MS)
    const bytes = client.pending()?.replace(/^bytes /, '') ?? ''
    const answer = Buffer.from(bytes, 'hex').toString()
    return ending === undefined ? `${answer}(and stays open)` : answer
  } finally {
    client.close()
  }
}

/** True when the answer is the recorded one, but for what its patterns leave open. */
export function isRecordedAnswer(step: ConsoleStep, answer: string): boolean {
  if (!step.linePatterns) {
    return step.anyOrder ? sortedLines(answer) === sortedLines(step.answer) : answer === step.answer
  }
  const lines = answer.replace(/\n$/, '').split('\n')
  const patterns = step.linePatterns.map((pattern) => new RegExp(pattern))
  if (lines.length !== patterns.length) return false
  if (!step.anyOrder) return patterns.every((pattern, i) => isLike(pattern, lines[i] as string))
  const left = [...lines]
  return patterns.every((pattern) => {
    const at = left.findIndex((line) => isLike(pattern, line))
    return at >= 0 && left.splice(at, 1).length === 1
  })
}

/** A map printed in a line, `{"a": 1, "b": 2}`, has no fixed order. */
function isLike(pattern: RegExp, line: string): boolean {
  const [, before = '', entries, after = ''] = /^(.*\{)(.*)(\}.*)$/.exec(line) ?? []
  if (entries === undefined) return pattern.test(line)
  return permutations(entries.split(', ')).some((order) => pattern.test(before + order.join(', ') + after))
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]))
}

const sortedLines = (text: string): string => text.split('\n').sort().join('\n')
