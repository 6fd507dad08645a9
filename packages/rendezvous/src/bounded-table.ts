import { LRUCache } from 'lru-cache'

/**
 * A table that strangers can make grow: it forgets what was used least recently, so that its memory has a bound
 * whoever asks.
 */
export type BoundedTable<V extends object> = LRUCache<string, V>

export const boundedTable = <V extends object>(maxEntries: number): BoundedTable<V> =>
  new LRUCache<string, V>({ max: maxEntries })
