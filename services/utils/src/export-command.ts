import { randomUUID } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PUBLIC_KEY_FILE, SECRET_KEY_FILE } from '@tryst/service'
import { type ArchivedIdentity, exportCompletely, readServerKey } from '@tryst/state-redis'
import { type NewPeerRow, writePeers } from '@tryst/state-sqlite'
import type { CommandResult } from './command-result.ts'
import { DataFolderError, readKeyPair } from './data-folder.ts'
import { newFolder } from './new-folder.ts'
import { openSharedRedis, type Surroundings } from './shared-redis.ts'

export interface ExportInput extends Surroundings {
  readonly folder: string
  readonly redisFlags: ReadonlyMap<string, string>
}

const DATABASE = 'db_v2.sqlite3'
const GUID_BYTES = 16

/**
 * Writes the devices in Redis into a folder in which one server can start, ours or the reference
 * (docs/operating.md, moving between SQLite and Redis). What is there is never replaced.
 */
export async function exportFolder(input: ExportInput): Promise<CommandResult> {
  const path = resolve(input.cwd, input.folder)
  refuseExisting(path)
  const connection = await openSharedRedis(input.redisFlags, input, 'leave')
  try {
    const serverKey = await readServerKey(connection)
    const folder = newFolder(path)
    try {
      const keys = addKeyFiles(path, input.cwd, serverKey, (name) => folder.draftOf(name))
      const devices = await writePeers(folder.draftOf(DATABASE), asRows(exportCompletely(connection)))
      folder.publish(DATABASE)
      return { output: `${devices} devices in ${join(path, DATABASE)}\n${keys}`, status: 0 }
    } finally {
      folder.discard()
    }
  } finally {
    connection.close()
  }
}

function refuseExisting(folder: string): void {
  for (const name of [DATABASE, `${DATABASE}-wal`, `${DATABASE}-shm`]) {
    const path = join(folder, name)
    if (existsSync(path)) throw new DataFolderError(`${path} is there already; name a new folder, or move it away`)
  }
}

/** Takes the key pair along where it is the servers'. @returns what the operator has to know of it */
function addKeyFiles(
  folder: string,
  cwd: string,
  serverKey: string | undefined,
  draftOf: (name: string) => string,
): string {
  if (serverKey === undefined)
    return `no server has used this Redis yet: nobody can tell which ${SECRET_KEY_FILE} belongs to these devices\n`
  const there = readKeyPair(folder)
  if (there?.publicKey === serverKey) return `${SECRET_KEY_FILE} is there already\n`
  if (there) {
    const problem = `has the public key ${there.publicKey}, but the servers have ${serverKey}`
    throw new DataFolderError(`${join(folder, SECRET_KEY_FILE)} ${problem}; name a new folder, or put theirs there`)
  }
  const pair = readKeyPair(cwd)
  if (pair?.publicKey !== serverKey)
    return (
      `put the servers' ${SECRET_KEY_FILE} and ${PUBLIC_KEY_FILE} into ${folder} before a server starts there: those ` +
      `with the public key ${serverKey}. It would make a new pair, which no client knows\n`
    )
  writeFileSync(draftOf(SECRET_KEY_FILE), pair.secretKey, { mode: 0o600, flush: true })
  if (!existsSync(join(folder, PUBLIC_KEY_FILE)))
    writeFileSync(draftOf(PUBLIC_KEY_FILE), pair.publicKey, { flush: true })
  return `${SECRET_KEY_FILE} and ${PUBLIC_KEY_FILE} are copies of those in ${cwd}\n`
}

async function* asRows(batches: AsyncIterable<readonly ArchivedIdentity[]>): AsyncGenerator<readonly NewPeerRow[]> {
  const guids = new Set<string>()
  for await (const batch of batches)
    yield batch.map(({ id, guid, uuid, publicKey, ip, createdMs }) => {
      const name = Buffer.from(guid).toString('latin1')
      // The table's key; what has none, or another's, gets one.
      const isFit = guid.length === GUID_BYTES && !guids.has(name)
      guids.add(name)
      return { id, guid: isFit ? guid : newGuid(), uuid, publicKey, ip, createdMs: createdMs || Date.now() }
    })
}

const newGuid = (): Uint8Array => Buffer.from(randomUUID().replaceAll('-', ''), 'hex')
