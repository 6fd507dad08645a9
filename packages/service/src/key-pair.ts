import { decodeBase64, encodeBase64, PUBLIC_KEY_BYTES, SECRET_KEY_BYTES, type Signer } from '@tryst/protocol'
import { KeyFileError, openKeyFiles } from './key-files.ts'
import { isConsistent, nodeSigner, publicHalf } from './node-signer.ts'

export interface KeyPairOptions {
  /** Value of the setting KEY. */
  readonly key: string
  /** The ID server signs; a relay only compares, and without a key has no need for files. */
  readonly use: 'sign' | 'compare'
  /** Where the key files are. */
  readonly folder: string
  /**
   * `shared`: nodes of one server trust one another by this pair. The secret half is needed whatever is compared, and
   * none is made: a node with a pair of its own would be another server.
   */
  readonly pair?: 'own' | 'shared'
}

export interface LoadedKeyPair {
  /** What clients have to present; undefined: nothing is checked. */
  readonly expectedKey: string | undefined
  readonly signer: Signer | undefined
  /** 64 bytes in libsodium's form; undefined where KEY is a mere text, or empty for a relay of its own. */
  readonly secretKey: Uint8Array | undefined
  /** What people enter as the key; undefined where sessions are not signed and nothing is checked. */
  readonly publicKey: string | undefined
  /** `made`: files that did not exist before this start. */
  readonly source: 'found files' | 'made files' | 'secret in KEY' | 'text in KEY' | 'none'
  readonly warnings: readonly string[]
}

const NO_KEY: LoadedKeyPair = Object.freeze({
  expectedKey: undefined,
  signer: undefined,
  secretKey: undefined,
  publicKey: undefined,
  source: 'none',
  warnings: [],
})

/** The key that a value of KEY stands for (docs/configuration.md, KEY). Throws a `KeyFileError`. */
export async function loadKeyPair({ key, use, folder, pair = 'own' }: KeyPairOptions): Promise<LoadedKeyPair> {
  const isShared = pair === 'shared'
  if (key === '' && use === 'compare' && !isShared) return NO_KEY
  if (key === '' || key === '-' || key === '_') {
    const { secretKey, origin, warnings } = await openKeyFiles(folder, isShared ? 'refuse' : 'make')
    const publicKey = encodeBase64(publicHalf(secretKey))
    return {
      expectedKey: key === '' ? undefined : publicKey,
      signer: use === 'sign' ? nodeSigner(secretKey) : undefined,
      secretKey,
      publicKey,
      source: `${origin} files`,
      warnings,
    }
  }
  const bytes = decodeBase64(key)
  if (bytes?.length === SECRET_KEY_BYTES) {
    if (!isConsistent(bytes)) {
      throw new KeyFileError('KEY is not a secret key: its two halves do not belong together; copy it anew, or use -')
    }
    const publicKey = encodeBase64(publicHalf(bytes))
    const signer = use === 'sign' ? nodeSigner(bytes) : undefined
    return { expectedKey: publicKey, signer, secretKey: bytes, publicKey, source: 'secret in KEY', warnings: [] }
  }
  if (isShared) {
    throw new KeyFileError(
      'KEY is no secret key, and the nodes of one server trust one another by it: use - with id_ed25519 from another ' +
        'node, or put that secret key into KEY',
    )
  }
  const what = bytes?.length === PUBLIC_KEY_BYTES ? 'a public key' : 'neither a secret key nor -'
  return {
    expectedKey: key,
    signer: undefined,
    secretKey: undefined,
    publicKey: key,
    source: 'text in KEY',
    warnings:
      use === 'sign'
        ? [
            `KEY is ${what}: nothing is signed, so sessions are not encrypted end to end; use - and the key files instead`,
          ]
        : [],
  }
}
