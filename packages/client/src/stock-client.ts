/**
 * The times and texts that stock clients work with, as seen in 1.4.9 (docs/protocol.md, times of the client). All in
 * milliseconds of the clock.
 */

/** Version that this peer presents; servers and peers switch features by it. */
export const CLIENT_VERSION = '1.4.9'

/** Limit for connecting, for an answer of the relay path and for a step of the peer handshake. */
export const CONNECT_LIMIT_MS = 18_000
/** Waits for the answer to a PunchHoleRequest; each but the last is followed by a repeat on the same connection. */
export const PUNCH_WAITS_MS = [3_000, 6_000, 9_000] as const
/** A device tries its initiator's address this long, to open its own NAT. */
export const NAT_OPENING_LIMIT_MS = 30
/** How long a device listens for the initiator after PunchHoleSent or LocalAddr. */
export const LISTEN_MS = 18_000
/** A second push from the same initiator within this time is a repeat. */
export const DUPLICATE_WINDOW_MS = 100
/** Attempts of a controller to have the device join it at the relay. */
export const RELAY_REQUEST_ATTEMPTS = 3
/** Each of the two messages that an online query may read. */
export const ONLINE_ANSWER_LIMIT_MS = 3_000
/** The empty connection to PORT that tells which address family works. */
export const REACHABILITY_LIMIT_MS = 1_000

export const REGISTRATION_TICK_MS = 1_000
export const REGISTRATION_INTERVAL_MS = 15_000
export const REGISTRATION_REPEAT_MS = 3_000
export const FAILURES_UNTIL_CONNECTING = 2
export const FAILURES_UNTIL_OFFLINE = 4
export const REBIND_INTERVAL_MS = 60_000

/** Serial of the server list that a client without one presents. */
export const SERVER_LIST_SERIAL = 3

/** The NAT test is repeated after 1, 3, 7, 15 s and so on while its outcome is unknown. */
export const NAT_TEST_LONGEST_PAUSE_MS = 300_000

/** No stock peer sends longer frames; the protocol itself sets no limit. */
export const MAX_PAYLOAD_BYTES = 64 << 20

/** A peer session without any received frame is given up. */
export const SESSION_IDLE_LIMIT_MS = 30_000
export const TEST_DELAY_INTERVAL_MS = 1_000

/** Keep-alive of a connection that stays open, where the server names none. */
export const DEFAULT_KEEP_ALIVE_SECONDS = 60
/** Nothing received for so many keep-alive intervals: the connection is given up. */
export const SILENT_INTERVALS = 1.5

/** All that a request to the API through the ID server may take. */
export const PROXIED_ANSWER_LIMIT_MS = 36_000
