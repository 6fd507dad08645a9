import type { Signer } from '@tryst/protocol'
import type { AttemptRecorder } from './attempt-recorder.ts'
import type { Cluster } from './cluster.ts'
import type { ClientConnection, Clock } from './connection.ts'
import type { ControlAccounts } from './control-access.ts'
import type { AccessStore } from './device-access.ts'
import type { RendezvousEvents } from './events.ts'
import type { HiddenSources } from './hidden-sources.ts'
import type { HttpProxy } from './http-proxy.ts'
import type { IdentityStore } from './identity-store.ts'
import type { RelayDirectory } from './relay-directory.ts'
import type { RelayTickets } from './relay-tickets.ts'
import type { RandomUint32 } from './waiting-initiators.ts'

/** What the core needs from the world. */
export interface RendezvousPorts {
  readonly access: AccessStore
  /** Not there: nobody has an account. */
  readonly accounts?: ControlAccounts | undefined
  readonly identities: IdentityStore
  readonly cluster: Cluster
  readonly announcedRelays: RelayDirectory
  readonly tickets: RelayTickets
  /** Not there: attempts are not recorded, and refusals name no code. */
  readonly attempts?: AttemptRecorder | undefined
  /** Not there: this server has no API. */
  readonly httpProxy?: HttpProxy | undefined
  /** Undefined where the server has no secret key: nothing is signed. */
  readonly signer: Signer | undefined
  readonly events: RendezvousEvents
  /** A device is reached over this connection from now on: it is pushed out by nobody. */
  readonly onKept?: ((connection: ClientConnection) => void) | undefined
  /** Not there: nobody is told, and the machine's gateways are not known. */
  readonly sources?: HiddenSources | undefined
  readonly clock: Clock
  /** Not to be guessed: handles depend on it. */
  readonly random: RandomUint32
  /** Whether a TCP connection from this address is open here. Not there: none is known of. */
  readonly hasConnection?: (ip: string) => boolean
  /** Text of bytes that are all ASCII, quickly. */
  readonly asciiText: (bytes: Uint8Array, start: number, end: number) => string
}
