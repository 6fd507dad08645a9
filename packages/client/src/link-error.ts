export type LinkFailure = 'refused' | 'timeout' | 'aborted'

const WORDS: Record<LinkFailure, string> = {
  refused: 'cannot be reached',
  timeout: 'does not answer in time',
  aborted: 'is no longer wanted',
}

/** A connection that did not come about. */
export class LinkError extends Error {
  override readonly name = 'LinkError'

  constructor(
    readonly reason: LinkFailure,
    /** An address with its port, or a URL. */
    readonly target: string,
    options?: ErrorOptions,
  ) {
    super(`${target} ${WORDS[reason]}`, options)
  }
}
