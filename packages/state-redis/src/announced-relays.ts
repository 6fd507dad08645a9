import type { AnnouncedRelay } from '@tryst/rendezvous'

/**
 * Relays behind one address (workers, a shared port, a balancer) are one to clients: what they carry together counts, and
 * one that drains matters only when it is the last.
 */
export function mergeByAddress(relays: Iterable<AnnouncedRelay>): AnnouncedRelay[] {
  const merged = new Map<string, AnnouncedRelay>()
  for (const relay of relays) {
    const other = merged.get(relay.address)
    if (!other || other.isDraining) merged.set(relay.address, relay)
    else if (!relay.isDraining) {
      const capacityBitsPerSecond = other.capacityBitsPerSecond + relay.capacityBitsPerSecond
      const loadBitsPerSecond = other.loadBitsPerSecond + relay.loadBitsPerSecond
      merged.set(relay.address, { ...other, capacityBitsPerSecond, loadBitsPerSecond })
    }
  }
  return [...merged.values()]
}
