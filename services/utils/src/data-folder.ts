import { readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { decodeBase64, encodeBase64, PUBLIC_KEY_BYTES, SECRET_KEY_BYTES } from '@tryst/protocol'
import { belongTogether, PUBLIC_KEY_FILE, publicHalf, readFolderConfig, SECRET_KEY_FILE } from '@tryst/service'

/** A server's working directory. */
export interface DataFolder {
  readonly folder: string
  readonly database: string
  /** Base64; undefined where nothing in the folder tells it. */
  readonly publicKey: string | undefined
}

/** A folder is not what was asked for; the message says why, and what to do. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError'
}

/** @param given absolute path of a server's working directory, or of its database. @throws DataFolderError, ConfigError */
export function findDataFolder(given: string): DataFolder {
  const found = statSync(given, { throwIfNoEntry: false })
  if (!found) throw new DataFolderError(`${given}: there is no such folder; name the one that hbbs worked in`)
  const folder = found.isDirectory() ? given : dirname(given)
  const { dbPath, key } = readFolderConfig(folder, readIfThere)
  const database = found.isDirectory() ? resolve(folder, dbPath) : given
  return { folder, database, publicKey: publicKeyOf(folder, key) }
}

/** The key pair in a folder; undefined where there is no secret key. @throws DataFolderError */
export function readKeyPair(folder: string): { readonly publicKey: string; readonly secretKey: string } | undefined {
  const path = join(folder, SECRET_KEY_FILE)
  const text = readIfThere(path)?.trim()
  if (text === undefined) return undefined
  const secretKey = decodeBase64(text)
  if (secretKey?.length !== SECRET_KEY_BYTES || !belongTogether(publicHalf(secretKey), secretKey))
    throw new DataFolderError(`${path} holds no secret key; put it back from a backup`)
  return { publicKey: encodeBase64(publicHalf(secretKey)), secretKey: encodeBase64(secretKey) }
}

/** As the server in the folder finds it: KEY, where it is a secret key, else the files. */
function publicKeyOf(folder: string, key: string): string | undefined {
  const secret = decodeBase64(key)
  if (secret?.length === SECRET_KEY_BYTES) return encodeBase64(publicHalf(secret))
  const pair = readKeyPair(folder)
  if (pair) return pair.publicKey
  const text = readIfThere(join(folder, PUBLIC_KEY_FILE))?.trim() ?? ''
  const publicKey = decodeBase64(text)
  return publicKey?.length === PUBLIC_KEY_BYTES ? encodeBase64(publicKey) : undefined
}

/** Undefined where there is no such file. @throws DataFolderError */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new DataFolderError(`${path} cannot be read (${code}); let this user read it`, { cause: error })
  }
}
