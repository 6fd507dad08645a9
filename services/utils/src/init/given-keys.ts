import { join } from 'node:path'
import { PUBLIC_KEY_FILE, SECRET_KEY_FILE } from '@tryst/service'
import { validateKeyPair } from '../key-commands.ts'
import { InitError } from './init-error.ts'
import { readIfThere, writeOnce } from './write-once.ts'

const SECRETS = '/run/secrets'

/**
 * Writes a key pair that was given as secrets, or else as variables, where there is none. What is there already is never
 * replaced: clients know it.
 *
 * @throws InitError where the outcome is half a pair, or none
 */
export function placeGivenKeys(folder: string, env: NodeJS.ProcessEnv, secrets = SECRETS): void {
  const given = {
    publicKey: readSecret(join(secrets, 'key_pub'), env.KEY_PUB),
    secretKey: readSecret(join(secrets, 'key_priv'), env.KEY_PRIV),
  }
  const publicPath = join(folder, PUBLIC_KEY_FILE)
  const secretPath = join(folder, SECRET_KEY_FILE)
  const publicKey = (readIfThere(publicPath) ?? given.publicKey)?.trim()
  const secretKey = (readIfThere(secretPath) ?? given.secretKey)?.trim()
  if (!secretKey) {
    if (!publicKey) return
    throw new InitError(`there is a public key and no secret one: give both (KEY_PRIV, or the secret key_priv)`)
  }
  if (publicKey) {
    const { output, status } = validateKeyPair(publicKey, secretKey)
    if (status !== 0) {
      throw new InitError(
        `the keys of ${folder}, KEY_PUB and KEY_PRIV are no pair (${output.trim()}): give both halves of one`,
      )
    }
    writeOnce(publicPath, publicKey, 0o644)
  }
  writeOnce(secretPath, secretKey, 0o600)
}

/** A secret that only root may read was read by the entry point before it gave up being root, into the variable. */
function readSecret(path: string, variable: string | undefined): string | undefined {
  try {
    return readIfThere(path) ?? variable
  } catch (error) {
    if (variable) return variable
    throw error
  }
}
