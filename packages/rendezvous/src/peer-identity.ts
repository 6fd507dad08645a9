declare const brand: unique symbol

/** The id of a device, as users type it. 1 to 100 bytes of UTF-8. */
export type PeerId = string & { readonly [brand]: 'PeerId' }
/** One running hbbs. Drawn anew at every start. */
export type NodeId = string & { readonly [brand]: 'NodeId' }

/** What is known of a device for good. */
export interface PeerIdentity {
  readonly id: PeerId
  /** 16 bytes. */
  readonly guid: Uint8Array
  /** The device's own identity, as it sent it; never changes. */
  readonly uuid: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Where it last registered from, in plain form (never `::ffff:`); empty when that is not known. */
  readonly ip: string
}
