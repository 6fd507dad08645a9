// @peculiar/x509 is put together by it, and refuses to load without it.
import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
/** Some systems take no certificate that is good for longer. */
export const VALID_DAYS = 820
/** Clocks of clients may be behind. */
const BACKDATED_DAYS = 1

/** By this name our own certificates are told from others'. */
export const OWN_AUTHORITY = 'Tryst self-made authority'

/** Everything in PEM. */
export interface MadeCertificate {
  /** The server's, followed by the authority's. */
  readonly chain: string
  readonly key: string
  readonly authority: string
}

/**
 * A certificate for a host that nobody has to vouch for, and the authority that signed it. The authority's key is
 * forgotten at once: whoever trusts it trusts this certificate alone.
 */
export async function makeCertificate(host: string, nowMs: number): Promise<MadeCertificate> {
  const validity = {
    notBefore: new Date(nowMs - BACKDATED_DAYS * DAY_MS),
    notAfter: new Date(nowMs + VALID_DAYS * DAY_MS),
  }
  const [authorityKeys, keys] = await Promise.all([makeKeys(), makeKeys()])
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serialNumber(),
    name: [{ CN: [OWN_AUTHORITY] }],
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  })
  const certificate = await X509CertificateGenerator.create({
    ...validity,
    serialNumber: serialNumber(),
    subject: [{ CN: [host.slice(0, 64)] }],
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: isIP(host) ? 'ip' : 'dns', value: host }]),
      await AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    chain: pem(certificate) + pem(authority),
    key: await privateKeyPem(keys.privateKey),
    authority: pem(authority),
  }
}

const makeKeys = () =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>

/** Positive, and not one of another certificate. */
const serialNumber = () => `01${randomBytes(15).toString('hex')}`

const pem = (certificate: X509Certificate) => `${certificate.toString('pem')}\n`

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${base64.replace(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
}
