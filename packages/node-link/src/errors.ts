/**
 * Why a question has no answer. All but `queue-full`, `backing-off`, `too-large` and `myself` leave open whether the
 * node did what it was asked for.
 */
export type UnreachableReason =
  /** No answer within the deadline. */
  | 'deadline'
  /** Nobody accepts connections at the address, or somebody who is no node. */
  | 'connect-failed'
  /** The last attempt to connect failed a moment ago. */
  | 'backing-off'
  /** The connection ended before the answer came. */
  | 'link-lost'
  /** Too many questions, or too many bytes of them, are on their way to this node. */
  | 'queue-full'
  | 'too-large'
  /** The node there has another key pair. */
  | 'other-key'
  | 'other-version'
  /** The process that was asked for is gone; another has its address. */
  | 'other-incarnation'
  /** The node is of an older version and does not know the question. */
  | 'not-understood'
  /** The node could not find out. */
  | 'failed'
  | 'myself'
  /** Links have been closed here. */
  | 'closed'

/** Another node could not be asked. */
export class NodeUnreachableError extends Error {
  override readonly name = 'NodeUnreachableError'

  readonly address: string
  readonly reason: UnreachableReason

  constructor(address: string, reason: UnreachableReason, options?: { readonly cause: unknown }) {
    // A flood of questions is rejected for less than it costs to ask them; where in here it happened says nothing.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(`the node at ${address} gave no answer: ${reason}`, options)
    Error.stackTraceLimit = stackTraceLimit
    this.address = address
    this.reason = reason
  }
}
