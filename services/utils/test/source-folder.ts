import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeBase64 } from '@tryst/protocol'
import { drawKey, publicHalf } from '@tryst/service'
import { type NewPeerRow, writePeers } from '@tryst/state-sqlite'

/** A device whose bytes follow from its id; others with another `variant` have another uuid and key. */
export function row(id: string, variant = 0): NewPeerRow {
  const spread = (length: number, salt: number) =>
    Uint8Array.from({ length }, (_, index) => (id.charCodeAt(index % id.length) * 31 + index * salt + variant) % 256)
  return {
    id,
    guid: Buffer.from(id.padStart(16, '.').slice(-16)),
    uuid: spread(36, 3),
    publicKey: spread(32, 7),
    ip: '203.0.113.9',
    createdMs: 1_700_000_000_000,
  }
}

export const fleet = (size: number): NewPeerRow[] =>
  Array.from({ length: size }, (_, index) => row(String(100_000_000 + index)))

/** Makes a server's working directory with these devices and a key pair. @returns the public key */
export async function makeFolder(folder: string, rows: readonly NewPeerRow[], secretKey = drawKey()): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const publicKey = encodeBase64(publicHalf(secretKey))
  writeFileSync(join(folder, 'id_ed25519'), encodeBase64(secretKey))
  writeFileSync(join(folder, 'id_ed25519.pub'), publicKey)
  async function* batches() {
    yield rows
  }
  await writePeers(join(folder, 'db_v2.sqlite3'), batches())
  return publicKey
}
