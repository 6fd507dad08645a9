import type { PeerIdentity } from '@tryst/rendezvous'
import type { UnusableRow } from '@tryst/state-sqlite'

const SHOWN_BYTES = 8

const REGISTERS_ANEW = 'the device registers anew when it comes, under the same id unless another one has taken it'

const LEFT_OUT: Readonly<Record<UnusableRow, string>> = {
  'id-no-text': 'its id is no text, by which nobody finds it; nothing is lost',
  'id-too-short': 'its id has fewer than 6 bytes, which no server accepts; its device draws another id',
  'id-too-long': 'its id has more than 100 bytes, the most that is served here; give the device a shorter id',
  'uuid-empty': `its uuid is empty, so that no device is the right one; ${REGISTERS_ANEW}`,
  'uuid-too-long': 'its uuid has more than 4096 bytes, which no stock client sends; see what registered it',
  'key-empty': `its key is empty; ${REGISTERS_ANEW}`,
  'key-length': `its key does not have 32 bytes; ${REGISTERS_ANEW}`,
  'guid-length': `its guid does not have 16 bytes: another program has written it; ${REGISTERS_ANEW}`,
}

/** @param id as the database shows it, in quotes */
export function leftOutLine(id: string, reason: UnusableRow): string {
  return `left out: ${id}: ${LEFT_OUT[reason]}\n`
}

/** Both sides of an id that two devices claim. */
export function bothSides(what: string, incoming: PeerIdentity, stored: PeerIdentity): string {
  return (
    `${what}: ${JSON.stringify(incoming.id)}\n` +
    `  in the folder: ${describeDevice(incoming)}\n` +
    `  in Redis:      ${describeDevice(stored)}\n`
  )
}

function describeDevice({ uuid, publicKey, ip }: PeerIdentity): string {
  return `${ip === '' ? 'address not known' : ip}, uuid ${firstBytes(uuid)}, key ${firstBytes(publicKey)}`
}

function firstBytes(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex')
  return `${shown}${bytes.length > SHOWN_BYTES ? '...' : ''} (${bytes.length} bytes)`
}

export interface ImportCounts {
  readonly created: number
  readonly same: number
  readonly replaced: number
  readonly conflicts: number
  readonly leftOut: number
}

/** The last lines of a report. */
export function summary(counts: ImportCounts, mode: 'imported' | 'dry run'): string {
  const { created, same, replaced, conflicts, leftOut } = counts
  const isDry = mode === 'dry run'
  const parts = [
    `${created} ${isDry ? 'to be created' : 'created'}`,
    `${same} there already`,
    ...(replaced > 0 ? [`${replaced} ${isDry ? 'to be replaced' : 'replaced'}`] : []),
    ...(conflicts > 0 ? [`${conflicts} in conflict`] : []),
    ...(leftOut > 0 ? [`${leftOut} left out`] : []),
  ]
  const remedy =
    conflicts > 0 ? 'Redis keeps what it has. To put the device of the folder in its place: --replace ID\n' : ''
  return `${parts.join(', ')}${isDry ? '; nothing was written' : ''}\n${remedy}`
}
