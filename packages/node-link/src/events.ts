/** The node at the other end of a link. */
export interface LinkedNode {
  readonly incarnation: string
  /** Its label. */
  readonly name: string
  /** `host:port` of the other end of the connection. */
  readonly address: string
  /** Of its program. */
  readonly version: string
}

/** How a link ended: the other side closed or died, nothing was heard of it, it spoke otherwise, another took its place. */
export type LinkEnd = 'ended' | 'silent' | 'malformed' | 'replaced' | 'closed'

/** Why somebody who connected was turned away. */
export type Refusal =
  /** A node of another server: its key pair is another. */
  | 'other-key'
  | 'other-version'
  /** It wanted the process that had this address before. */
  | 'other-incarnation'
  /** Our own greeting came back to us. */
  | 'myself'
  /** No node: what came is no greeting, or no TLS. */
  | 'not-a-node'
  /** It did not prove itself in time. */
  | 'slow'
  /** Too many unproven connections, from this source or at all. */
  | 'too-many'

/** What an operator may want to know of; written to the log by the service. */
export interface LinkEvents {
  opened(node: LinkedNode, how: 'dialled' | 'accepted'): void
  lost(node: LinkedNode, end: LinkEnd): void
  /**
   * Somebody was turned away. Told once a minute for each source and reason.
   *
   * @param claims what it says of itself: name and key, or name and version; undefined where it said nothing
   */
  refused(source: string, reason: Refusal, claims: string | undefined): void
  /** A node could not be reached. Told once a minute for each address and reason. */
  unreachable(address: string, reason: string, cause: unknown): void
}
