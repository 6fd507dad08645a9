import { setTimeout as delay } from 'node:timers/promises'
import { type PeerIdentity, StoreUnavailableError } from '@tryst/rendezvous'
import { type ArchivedIdentity, type Imported, RedisIdentityArchive } from './identity-archive.ts'
import type { RedisConnection } from './redis-connection.ts'

export interface ImportOptions {
  /** What an operator wants in the place of what Redis has, by id, and what that was when it was shown. */
  readonly replace?: ReadonlyMap<string, PeerIdentity>
  /** How long Redis may be away or refuse, as in a failover. Default 30 s. */
  readonly patienceMs?: number
}

/** Redis did not take everything; the same import can be run again. */
export class ImportStoppedError extends Error {
  override readonly name = 'ImportStoppedError'

  constructor(
    /** Those that Redis has for certain. */
    readonly done: number,
    readonly total: number,
    cause: StoreUnavailableError,
  ) {
    super(`stopped after ${done} of ${total} devices: ${cause.message}; run the same import again`, { cause })
  }
}

const DEFAULT_PATIENCE_MS = 30_000
const RETRY_MS = 200
/** Imported at once; of a batch that fails nothing is known, and it is imported again. */
const BATCH = 500

/**
 * Imports while nodes register devices, and waits for a Redis that is away. Throws ImportStoppedError when that takes
 * too long.
 */
export async function importPatiently(
  connection: RedisConnection,
  identities: readonly ArchivedIdentity[],
  { replace = new Map(), patienceMs = DEFAULT_PATIENCE_MS }: ImportOptions = {},
): Promise<Imported[]> {
  const archive = new RedisIdentityArchive(connection)
  const options = { replace: new Set(replace.keys()), shown: replace }
  const results: Imported[] = []
  let progressMs = performance.now()
  while (results.length < identities.length) {
    const batch = identities.slice(results.length, results.length + BATCH)
    const imported: Imported[] = []
    try {
      for await (const each of archive.import(batch, options)) imported.push(each)
      results.push(...imported)
      progressMs = performance.now()
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      if (performance.now() - progressMs > patienceMs)
        throw new ImportStoppedError(results.length, identities.length, error)
      await delay(RETRY_MS)
    }
  }
  return results
}

/**
 * All identities in batches. Throws StoreUnavailableError when Redis was away or has changed over on the way: nobody
 * could say what is missing then.
 */
export async function* exportCompletely(connection: RedisConnection): AsyncGenerator<readonly ArchivedIdentity[]> {
  let interruption: string | undefined
  const stop = connection.onChange((event) => {
    interruption ??= event.kind === 'up' ? 'a connection was made anew' : event.reason
  })
  const refuseInterrupted = () => {
    if (interruption === undefined) return
    throw new StoreUnavailableError(`Redis was interrupted meanwhile (${interruption}); run the export again`)
  }
  try {
    let batch: ArchivedIdentity[] = []
    for await (const identity of new RedisIdentityArchive(connection).export()) {
      batch.push(identity)
      if (batch.length < BATCH) continue
      refuseInterrupted()
      yield batch
      batch = []
    }
    refuseInterrupted()
    yield batch
  } finally {
    stop()
  }
}
