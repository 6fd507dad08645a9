import type { RelayHalf } from './relay-half.ts'

/** A half that found no partner on its own relay. */
export interface MeetingHalf {
  /** The session. */
  readonly uuid: string
  /** What this relay calls the half; no other half of this relay is called so. */
  readonly name: string
  /** The device that the half names; empty where it names none. */
  readonly device: string
  /** The half that this one was told to join, and that was not there any more: it does not wait, whatever is stored. */
  readonly gone?: HalfPlace
}

/** Where a half waits. */
export interface HalfPlace {
  readonly node: string
  readonly half: string
}

export type Meeting =
  /**
   * Nobody waits yet; this half holds the session's waiting place from now on, until it leaves. `device` is the one that
   * the ticket was issued for; undefined where no ticket was asked for.
   */
  | { readonly kind: 'wait'; readonly device: string | undefined }
  /** The other half waits on this node under this name. It is kept for the half that asked. */
  | ({ readonly kind: 'join' } & HalfPlace)
  /** No ID server has introduced this session, or not yet. */
  | { readonly kind: 'no-ticket' }
  /** The ticket is for another device than the half names. */
  | { readonly kind: 'wrong-device' }
  /** Two halves are about to meet: this one is not needed, unless they fail to. Worth asking again. */
  | { readonly kind: 'busy' }
  /** Two halves have met already. */
  | { readonly kind: 'used' }
  /** Nobody can be asked. */
  | { readonly kind: 'unavailable' }

/**
 * Where halves find each other across relays, and whether an ID server introduced them. What is asked here has found no
 * partner on this relay.
 */
export interface SessionBroker {
  /** True: halves that no ID server introduced are turned away. */
  readonly requiresTickets: boolean
  /**
   * Takes the half that waits, or the waiting place: one step, whoever else asks at the same time. May be asked again for
   * the same half, and answers within a second or so; what goes wrong is `unavailable`.
   */
  meet(half: MeetingHalf): Promise<Meeting>
  /** Two halves have met, here or by a stream from here: nobody else is let in. */
  met(uuid: string): void
  /**
   * The half has gone, and with it what `meet` gave it: the waiting place, or the half that it was to join, which waits
   * on. Does nothing for a half that holds neither.
   */
  leave(uuid: string, name: string): void
  /**
   * A stream to the half that waits on another relay, which is paired there with the stream's other end. Undefined: it has
   * gone, or the relay cannot be reached.
   *
   * @param own what the half that is here speaks
   */
  dial(node: string, uuid: string, half: string, own: RelayHalf['transport']): Promise<RelayHalf | undefined>
  /**
   * Gives the half itself to the relay on the same host where the other waits, which takes it as if it had come there.
   * False: that can't be done; nothing was done then. Not there: no relay is so near.
   *
   * @param stream tells what was read of a TCP half so far, from its first byte on; asked when nothing more is read
   */
  handOver?(node: string, half: RelayHalf, stream: () => Uint8Array): boolean
}
