import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeBase64, encodeBase64, SECRET_KEY_BYTES } from '@tryst/protocol'
import { codeOf } from './error-code.ts'
import { KeyFileError, PUBLIC_KEY_FILE } from './key-files.ts'
import { publicHalf } from './node-signer.ts'

/**
 * The key that people enter, for a program that needs no more than that: the secret key's file is neither read nor
 * made. Undefined while there is no public file; throws a `KeyFileError` where it cannot be read.
 *
 * @param key value of the setting KEY
 */
export async function findPublicKey(key: string, folder: string): Promise<string | undefined> {
  if (key !== '' && key !== '-' && key !== '_') {
    const bytes = decodeBase64(key)
    return bytes?.length === SECRET_KEY_BYTES ? encodeBase64(publicHalf(bytes)) : key
  }
  const path = join(folder, PUBLIC_KEY_FILE)
  try {
    return (await readFile(path, 'utf8')).trim() || undefined
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new KeyFileError(`${path} cannot be read (${codeOf(error)}); let this user read it`, { cause: error })
  }
}
