import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { type ServerCertificate, whyNotTrusted } from './certificate-trust.ts'
import { readIfThere, replaceFile } from './write-once.ts'

const CHAIN_FILE = 'fullchain.pem'
const KEY_FILE = 'privkey.pem'
/** Of our own certificate: what a browser is given that shall accept it. */
const AUTHORITY_FILE = 'ca.pem'

/** A certificate of ours is replaced when it is not good for longer than that. */
const RENEWED_BEFORE_MS = 60 * 86_400_000

const SELF_MADE = 'self-signed'

export interface CertificateState {
  readonly made: boolean
  /** Why stock clients refuse it; undefined: they do not. */
  readonly refusal: string | undefined
}

/**
 * Sees to it that the folder has a certificate. One that somebody else put there is left as it is; one of ours is made
 * anew when it is for another host or about to end.
 */
export async function openServerCertificate(folder: string, host: string, nowMs: number): Promise<CertificateState> {
  const found = readCertificate(folder)
  if (found && !isOurs(folder, found)) return { made: false, refusal: await whyNotTrusted(found, host) }
  if (found && isGood(found, host, nowMs)) return { made: false, refusal: SELF_MADE }
  // Loaded only here: most starts make none.
  const { makeCertificate } = await import('./certificate.ts')
  const { chain, key, authority } = await makeCertificate(host, nowMs)
  // The key first: whoever reloads in between finds a chain that does not fit, and keeps what it has.
  replaceFile(join(folder, AUTHORITY_FILE), authority, 0o644)
  replaceFile(join(folder, KEY_FILE), key, 0o600)
  replaceFile(join(folder, CHAIN_FILE), chain, 0o644)
  return { made: true, refusal: SELF_MADE }
}

function readCertificate(folder: string): ServerCertificate | undefined {
  const [chain, key] = [CHAIN_FILE, KEY_FILE].map((name) => readIfThere(join(folder, name)))
  return chain && key ? { chain, key } : undefined
}

/** Ours was signed by the authority beside it, whose key nobody has. */
function isOurs(folder: string, { chain }: ServerCertificate): boolean {
  const authority = readIfThere(join(folder, AUTHORITY_FILE))
  if (authority === undefined) return false
  return new X509Certificate(chain).checkIssued(new X509Certificate(authority))
}

function isGood({ chain }: ServerCertificate, host: string, nowMs: number): boolean {
  const certificate = new X509Certificate(chain)
  const isFor = certificate.checkHost(host) !== undefined || certificate.checkIP(host) !== undefined
  return isFor && certificate.validToDate.getTime() - nowMs > RENEWED_BEFORE_MS
}
