const utf8 = new TextEncoder()

async function sha256(...parts: Uint8Array[]): Promise<Uint8Array> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', joined))
}

/** What a controller may remember instead of the password: SHA-256(password ‖ salt), 32 bytes. */
export const hashPassword = (password: string, salt: string): Promise<Uint8Array> =>
  sha256(utf8.encode(password), utf8.encode(salt))

/**
 * LoginRequest.password: SHA-256(SHA-256(password ‖ salt) ‖ challenge), 32 bytes, from what the device sent in Hash
 * (docs/protocol.md, login).
 */
export const passwordProof = async (password: string, salt: string, challenge: string): Promise<Uint8Array> =>
  sha256(await hashPassword(password, salt), utf8.encode(challenge))
