import type { PeerId } from './peer-identity.ts'

/**
 * Tells relays which sessions were introduced, so that they turn others away (docs/protocol.md, brokered sessions).
 */
export interface RelayTickets {
  /**
   * Both sides of session `uuid` may meet for the next minute; a side that names an id has to name that of the device.
   * Settled once relays can know. Undefined: there are no tickets here. Rejects with StoreUnavailableError where it
   * can't be written; the session is introduced nevertheless, since relays then ask this node (`LocalNode.ticketFor`).
   */
  issue(uuid: string, device: PeerId): Promise<void> | undefined
}

/** For relays that serve whoever comes. */
export const noTickets: RelayTickets = { issue: () => undefined }
