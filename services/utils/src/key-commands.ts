import { decodeBase64, encodeBase64, PUBLIC_KEY_BYTES, SECRET_KEY_BYTES } from '@tryst/protocol'
import { belongTogether, drawKey, KeyFileError, loadKeyPair, makeFolder, publicHalf } from '@tryst/service'
import type { CommandResult } from './command-result.ts'

/** A new key pair, printed in the reference's form; nothing is written to disk. */
export function generateKeyPair(): CommandResult {
  const secretKey = drawKey()
  const output = `Public Key:  ${encodeBase64(publicHalf(secretKey))}\nSecret Key:  ${encodeBase64(secretKey)}\n`
  return { output, status: 0 }
}

/** Makes the key files of a server in a folder that has none, as its first node would; a pair that is there stays. */
export async function makeKeyFiles(folder: string): Promise<CommandResult> {
  try {
    makeFolder(folder)
    const { publicKey, source, warnings } = await loadKeyPair({ key: '-', use: 'sign', folder })
    const how = source === 'made files' ? 'made' : 'was there already'
    const notes = warnings.map((warning) => `WARNING: ${warning}\n`).join('')
    return { output: `Public Key:  ${publicKey}\nThe key pair in ${folder} ${how}.\n${notes}`, status: 0 }
  } catch (error) {
    const reason = error instanceof KeyFileError ? error.message : systemReason(error)
    if (reason === undefined) throw error
    return { output: `ERROR: ${reason}\n`, status: 1 }
  }
}

/** The folder cannot be made, say. */
const systemReason = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'syscall' in error ? String(error) : undefined

/** Whether two keys are a pair, in the reference's words, which scripts compare. */
export function validateKeyPair(publicText: string, secretText: string): CommandResult {
  const secretKey = decodeBase64(secretText)
  if (secretKey === undefined) return refused('Invalid secret key')
  if (secretKey.length !== SECRET_KEY_BYTES) return refused('Invalid Secret key')
  const publicKey = decodeBase64(publicText)
  if (publicKey === undefined) return refused('Invalid public key')
  if (publicKey.length !== PUBLIC_KEY_BYTES) return refused('Invalid Public key')
  if (!belongTogether(publicKey, secretKey)) return refused('Key pair is INVALID')
  return { output: 'Key pair is VALID\n', status: 0 }
}

const refused = (reason: string): CommandResult => ({ output: `${reason}\n`, status: 1 })
