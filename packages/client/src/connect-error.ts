/** Where and why a session did not come about. */
export type ConnectFailure =
  /** The ID server cannot be reached. */
  | 'serverUnreachable'
  /** The server offers no encryption, which signed-in clients insist on, or is not the one whose key is configured. */
  | 'secureTcp'
  | 'idNotExist'
  | 'offline'
  | 'keyMismatch'
  | 'keyOveruse'
  /** The server refused in its own words. */
  | 'otherFailure'
  /** The server gave a reason that stock clients do not know either. */
  | 'unknownFailure'
  | 'serverClosed'
  | 'noAnswer'
  /** No direct connection, and no relay was named. */
  | 'noPath'
  /** The device begins a relay session without naming a relay, or the relay cannot be reached. */
  | 'relayUnreachable'
  | 'relayRefused'
  | 'relayTimeout'
  /** The server vouches for no key of the device, and unencrypted sessions are not wanted. */
  | 'unencrypted'
  | 'handshake'
  | 'login'
  | 'closedByPeer'
  | 'aborted'

/** After a text with one of these words a stock client does not try again by itself. */
const FINAL_WORDS = [
  'offline',
  'not exist',
  'handshake',
  'failed',
  'resolve',
  'mismatch',
  'manually',
  'restricted',
  'incoming only',
  'not allowed',
]

/** Would a stock client that shows this text connect again by itself? (docs/protocol.md, closing) */
export function retriesAfter(text: string): boolean {
  const lower = text.toLowerCase()
  return !FINAL_WORDS.some((word) => lower.includes(word))
}

/** A session that did not come about. `message` is the text that a stock client shows. */
export class ConnectError extends Error {
  override readonly name: string = 'ConnectError'
  /** A stock client would connect again by itself. */
  readonly retries: boolean

  constructor(
    readonly failure: ConnectFailure,
    text: string,
    options?: ErrorOptions,
  ) {
    super(text, options)
    this.retries = failure !== 'login' && failure !== 'aborted' && retriesAfter(text)
  }
}
