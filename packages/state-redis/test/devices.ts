import type { NewPeerIdentity, PeerId } from '@tryst/rendezvous'

export const filled = (length: number, value: number) => new Uint8Array(length).fill(value)

/** A device; others with the same id and another `value` have another uuid and key. */
export function device(id: string, value = 1, ip = '203.0.113.7'): NewPeerIdentity & { readonly id: PeerId } {
  return { id: id as PeerId, uuid: filled(36, value), publicKey: filled(32, value), ip }
}
