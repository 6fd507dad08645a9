import type { RedisConnection } from './redis-connection.ts'

/** The public key of the servers that share this Redis, base64; undefined where none has started yet. */
export async function readServerKey(connection: RedisConnection): Promise<string | undefined> {
  const key = connection.keys.serverKey()
  const stored = await connection.command({ key, name: 'GET', args: [key] })
  return stored === null ? undefined : String(stored)
}

/** Writes the server's public key where none is stored yet; answers the one that stands. */
export async function claimServerKey(connection: RedisConnection, publicKey: string): Promise<string> {
  const key = connection.keys.serverKey()
  const stored = await connection.command({ key, name: 'SET', args: [key, publicKey, 'NX', 'GET'] })
  return stored === null ? publicKey : String(stored)
}
