/** Standard base64 with padding: the form of keys in files and in clients' settings. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text)
}

/** Reads standard base64 whose padding may be missing, in part or whole; undefined when it is none. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bare = text.replace(/={1,2}$/, '')
  if (!/^[A-Za-z0-9+/]*$/.test(bare) || bare.length % 4 === 1) return undefined
  if (text.length > Math.ceil(bare.length / 4) * 4) return undefined
  const bytes = Uint8Array.from(atob(bare), (char) => char.charCodeAt(0))
  // Bits that belong to no byte must be zero: two texts never mean the same key.
  return encodeBase64(bytes).replace(/=+$/, '') === bare ? bytes : undefined
}
