export const ANSWER_KINDS = ['done', 'refused', 'signed_out', 'limited', 'failed'] as const
export type AnswerKind = (typeof ANSWER_KINDS)[number]

/** Plain numbers that the metrics read. */
export class ApiCounters {
  readonly answers: Record<AnswerKind, number> = { done: 0, refused: 0, signed_out: 0, limited: 0, failed: 0 }

  answered(status: number): void {
    this.answers[kindOf(status)]++
  }
}

function kindOf(status: number): AnswerKind {
  if (status < 400) return 'done'
  if (status >= 500) return 'failed'
  if (status === 429) return 'limited'
  return status === 401 ? 'signed_out' : 'refused'
}
