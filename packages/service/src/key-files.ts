import { randomUUID } from 'node:crypto'
import { constants, copyFile, link, open, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { decodeBase64, encodeBase64, SECRET_KEY_BYTES } from '@tryst/protocol'
import { codeOf } from './error-code.ts'
import { generateSecretKey, isConsistent, publicHalf } from './node-signer.ts'

export const SECRET_KEY_FILE = 'id_ed25519'
export const PUBLIC_KEY_FILE = 'id_ed25519.pub'

/** Draws until the public key fits into a file name; in practice about four are enough. */
const MAX_DRAWS = 301
/** How long another program may take to fill a file that it has just made. */
const FILLING_MS = 300

/** The key pair cannot be had from its files; the message says why, and what to do. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError'
}

export interface KeyFiles {
  /** 64 bytes in libsodium's form. */
  readonly secretKey: Uint8Array
  readonly origin: 'found' | 'made'
  readonly warnings: readonly string[]
}

/**
 * The key pair of a folder, made when there is none. Of programs that start at the same time all end with one pair:
 * a file is complete when it appears under its name, and is never replaced.
 */
export async function openKeyFiles(folder: string, missing: 'make' | 'refuse' = 'make'): Promise<KeyFiles> {
  const found = await readSecretKey(folder)
  if (found) return { secretKey: found, origin: 'found', warnings: await matchPublicFile(folder, found) }
  if ((await readIfThere(join(folder, PUBLIC_KEY_FILE))) !== undefined) {
    // Somebody else's start may have made both since.
    const late = await readSecretKey(folder)
    if (late) return { secretKey: late, origin: 'found', warnings: await matchPublicFile(folder, late) }
    throw new KeyFileError(
      `${join(folder, PUBLIC_KEY_FILE)} is there without ${SECRET_KEY_FILE}: put ${SECRET_KEY_FILE} back from a backup, ` +
        `or remove ${PUBLIC_KEY_FILE} for a new pair, which all clients must then be given`,
    )
  }
  if (missing === 'refuse') {
    throw new KeyFileError(
      `${join(folder, SECRET_KEY_FILE)} is missing: all nodes of a server have one key pair. Copy ${SECRET_KEY_FILE} from ` +
        `another node, or for the first node make a pair there with "rustdesk-utils genkeypair"`,
    )
  }
  const drawn = drawKey()
  if (await createFile(folder, SECRET_KEY_FILE, encodeBase64(drawn), 0o600)) {
    return { secretKey: drawn, origin: 'made', warnings: await matchPublicFile(folder, drawn) }
  }
  const winner = await readSecretKey(folder)
  if (!winner) throw new KeyFileError(`${join(folder, SECRET_KEY_FILE)} was removed while it was read; start again`)
  return { secretKey: winner, origin: 'found', warnings: await matchPublicFile(folder, winner) }
}

/** A key whose public half has neither `/` nor `:` in base64: clients read it from their file's name. */
export function drawKey(draw: () => Uint8Array = generateSecretKey): Uint8Array {
  let drawn = draw()
  for (let draws = 1; draws < MAX_DRAWS && /[/:]/.test(encodeBase64(publicHalf(drawn))); draws++) drawn = draw()
  return drawn
}

async function readSecretKey(folder: string): Promise<Uint8Array | undefined> {
  const path = join(folder, SECRET_KEY_FILE)
  let text = await readIfThere(path)
  if (text?.trim() === '') {
    await delay(FILLING_MS)
    text = await readIfThere(path)
  }
  if (text === undefined) return undefined
  const secretKey = decodeBase64(text.trim())
  if (secretKey?.length !== SECRET_KEY_BYTES || !isConsistent(secretKey)) {
    throw new KeyFileError(
      `malformed private key: ${path} does not hold a secret key of ${SECRET_KEY_BYTES} bytes in base64; put it back ` +
        `from a backup, or move it and ${PUBLIC_KEY_FILE} away for a new pair, which all clients must then be given`,
    )
  }
  return secretKey
}

/** People copy the key from the public file: it is made when missing, and a wrong one is told. */
async function matchPublicFile(folder: string, secretKey: Uint8Array): Promise<readonly string[]> {
  const path = join(folder, PUBLIC_KEY_FILE)
  const expected = encodeBase64(publicHalf(secretKey))
  try {
    const text = await readIfThere(path)
    if (text === undefined) await createFile(folder, PUBLIC_KEY_FILE, expected, 0o644)
    // Empty: another program is just filling it.
    if (text === undefined || text === '' || text.trim() === expected) return []
    return [`${path} does not belong to ${SECRET_KEY_FILE}, whose public key is ${expected}: give clients that one`]
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error
    return [`${error.message}; the server does without it`]
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new KeyFileError(`${path} cannot be read (${codeOf(error)}); let this user read it`, { cause: error })
  }
}

/** Makes a file that is complete as soon as it is there; false when there is one already. */
async function createFile(folder: string, name: string, content: string, mode: number): Promise<boolean> {
  const path = join(folder, name)
  const draft = join(folder, `.${name}.${randomUUID()}`)
  try {
    const file = await open(draft, 'wx', mode)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path).catch((error: unknown) => {
      if (codeOf(error) === 'EEXIST') throw error
      // Some file systems know no links; there a reader may see the file while it is being filled.
      return copyFile(draft, path, constants.COPYFILE_EXCL)
    })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw new KeyFileError(`${path} cannot be made (${codeOf(error)}); let this user write to ${folder}`, {
      cause: error,
    })
  } finally {
    await unlink(draft).catch(() => {})
  }
}
