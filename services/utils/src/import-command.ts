import { resolve } from 'node:path'
import type { PeerId, PeerIdentity } from '@tryst/rendezvous'
import {
  type ArchivedIdentity,
  checkRedisItself,
  claimServerKey,
  importPatiently,
  type RedisConnection,
  RedisIdentityArchive,
  readServerKey,
} from '@tryst/state-redis'
import { type PeerRow, type ReadPeers, readPeers } from '@tryst/state-sqlite'
import type { CommandResult } from './command-result.ts'
import { type DataFolder, findDataFolder } from './data-folder.ts'
import { bothSides, type ImportCounts, leftOutLine, summary } from './import-report.ts'
import { openSharedRedis, type Surroundings, UsageError } from './shared-redis.ts'

export interface ImportInput extends Surroundings {
  readonly folder: string
  readonly mode: 'import' | 'dry run'
  /** Ids whose device in Redis gives way to that of the folder. */
  readonly replace: readonly string[]
  readonly redisFlags: ReadonlyMap<string, string>
  /** Takes what is to be seen before anything is written. */
  readonly print: (text: string) => void
}

/** Something is wrong that would lose data; nothing was written. */
export class ImportRefusedError extends Error {
  override readonly name = 'ImportRefusedError'
}

/**
 * Brings the devices of a server's folder into Redis (docs/operating.md, moving between SQLite and Redis). Everything is
 * looked at before anything is written. Status 2: something is left for the operator to decide.
 */
export async function importFolder(input: ImportInput): Promise<CommandResult> {
  const { print, mode } = input
  const source = findDataFolder(resolve(input.cwd, input.folder))
  const read = readPeers(source.database)
  const replace = checkReplaced(input.replace, read, source)
  const connection = await openSharedRedis(input.redisFlags, input, mode === 'import' ? 'draw' : 'leave')
  try {
    await checkTarget(connection, source, print)
    print(`${read.peers.length + read.unusable.length} devices in ${source.database}\n`)
    printRemarks(read, print)
    const incoming = read.peers.map(asIncoming)
    const plan = await inspect(connection, incoming, replace, print)
    const leftOut = read.unusable.length
    if (mode === 'dry run') return finish({ ...plan.counts, leftOut }, 'dry run')

    await claim(connection, source)
    const counts = await write(connection, incoming, plan, print)
    return finish({ ...counts, leftOut }, 'imported')
  } finally {
    connection.close()
  }
}

function checkReplaced(ids: readonly string[], { peers }: ReadPeers, { database }: DataFolder): ReadonlySet<string> {
  const known = new Set(peers.map(({ id }) => id))
  const unknown = ids.filter((id) => !known.has(id))
  if (unknown.length > 0)
    throw new UsageError(`--replace ${unknown.join(', ')}: ${database} has no such device, or one that is left out`)
  return new Set(ids)
}

async function checkTarget(
  connection: RedisConnection,
  { folder, publicKey }: DataFolder,
  print: (text: string) => void,
): Promise<void> {
  const problems = await checkRedisItself(connection)
  for (const { severity, text } of problems) if (severity === 'warning') print(`WARNING: ${text}\n`)
  const errors = problems.filter(({ severity }) => severity === 'error').map(({ text }) => text)
  const serverKey = await readServerKey(connection)
  if (publicKey === undefined)
    print(`WARNING: ${folder} has no key files: nobody can tell whether its devices belong to the servers in Redis\n`)
  else if (serverKey !== undefined && serverKey !== publicKey) errors.push(keyMismatch(folder, publicKey, serverKey))
  if (errors.length > 0) throw new ImportRefusedError(`${errors.join('\n')}\nnothing was written`)
}

function keyMismatch(folder: string, ours: string, theirs: string): string {
  return (
    `the server of ${folder} has the public key ${ours}, but the servers in this Redis have ${theirs}: controllers ` +
    'of one would not trust devices of the other. Name the right folder or Redis, or give it another REDIS_PREFIX'
  )
}

function printRemarks({ peers, unusable, withMore }: ReadPeers, print: (text: string) => void): void {
  for (const { id, reason } of unusable) print(leftOutLine(id, reason))
  const timeless = peers.filter(({ createdMs }) => createdMs === undefined).length
  if (timeless > 0) print(`${timeless} devices have no readable time of creation and get that of their import\n`)
  if (withMore > 0) print(`${withMore} devices have a user, status or note, which is not taken over\n`)
}

const asIncoming = (row: PeerRow): ArchivedIdentity => ({
  ...row,
  id: row.id as PeerId,
  createdMs: row.createdMs ?? Date.now(),
})

/** What was found before anything was written. */
interface Plan {
  readonly counts: Omit<ImportCounts, 'leftOut'>
  /** What was shown of those that are to be replaced. */
  readonly shown: ReadonlyMap<string, PeerIdentity>
  readonly conflicts: ReadonlySet<string>
}

async function inspect(
  connection: RedisConnection,
  incoming: readonly ArchivedIdentity[],
  replace: ReadonlySet<string>,
  print: (text: string) => void,
): Promise<Plan> {
  const byId = new Map(incoming.map((identity) => [identity.id, identity]))
  const shown = new Map<string, PeerIdentity>()
  const conflicts = new Set<string>()
  let created = 0
  let same = 0
  for await (const { id, outcome, stored } of new RedisIdentityArchive(connection).inspect(incoming, { replace })) {
    const ours = byId.get(id)
    if (outcome === 'created') created++
    else if (outcome === 'same' || !ours || !stored) same++
    else if (outcome === 'replaced') {
      shown.set(id, stored)
      print(bothSides('to be replaced', ours, stored))
    } else {
      conflicts.add(id)
      print(bothSides('conflict', ours, stored))
    }
  }
  return { counts: { created, same, replaced: shown.size, conflicts: conflicts.size }, shown, conflicts }
}

/** Servers with another key pair are refused by Redis from now on. */
async function claim(connection: RedisConnection, { folder, publicKey }: DataFolder): Promise<void> {
  if (publicKey === undefined) return
  const standing = await claimServerKey(connection, publicKey)
  if (standing === publicKey) return
  throw new ImportRefusedError(`${keyMismatch(folder, publicKey, standing)}\nnothing was written`)
}

async function write(
  connection: RedisConnection,
  incoming: readonly ArchivedIdentity[],
  { shown, conflicts }: Plan,
  print: (text: string) => void,
): Promise<Omit<ImportCounts, 'leftOut'>> {
  const byId = new Map(incoming.map((identity) => [identity.id, identity]))
  const counts = { created: 0, same: 0, replaced: 0, conflicts: 0 }
  for (const { id, outcome, stored } of await importPatiently(connection, incoming, { replace: shown })) {
    const ours = byId.get(id)
    if (outcome === 'created') counts.created++
    // A replacement whose answer was lost was made again.
    else if (outcome === 'replaced' || (outcome === 'same' && shown.has(id))) counts.replaced++
    else if (outcome === 'same') counts.same++
    else {
      counts.conflicts++
      // A device has registered meanwhile.
      if (!conflicts.has(id) && ours && stored) print(bothSides('conflict', ours, stored))
    }
  }
  return counts
}

function finish(counts: ImportCounts, mode: 'imported' | 'dry run'): CommandResult {
  return { output: summary(counts, mode), status: counts.conflicts + counts.leftOut > 0 ? 2 : 0 }
}
