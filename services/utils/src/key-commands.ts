import { decodeBase64, encodeBase64, PUBLIC_KEY_BYTES, SECRET_KEY_BYTES } from '@tryst/protocol'
import { belongTogether, drawKey, publicHalf } from '@tryst/service'
import type { CommandResult } from './command-result.ts'

/** A new key pair, printed in the reference's form; nothing is written to disk. */
export function generateKeyPair(): CommandResult {
  const secretKey = drawKey()
  const output = `Public Key:  ${encodeBase64(publicHalf(secretKey))}\nSecret Key:  ${encodeBase64(secretKey)}\n`
  return { output, status: 0 }
}

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
