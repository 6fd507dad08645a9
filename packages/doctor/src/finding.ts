export type Severity = 'ok' | 'warning' | 'error'

/** What can be found (docs/troubleshooting.md, findings of the doctor). */
export const FINDING_CODES = [
  'ok',
  'address-dead',
  'certificate-expired',
  'certificate-expiring',
  'certificate-name',
  'certificate-untrusted',
  'check-failed',
  'clock-off',
  'hairpin-missing',
  'headers-missing',
  'id-taken',
  'key-unknown',
  'key-unsigned',
  'key-wrong',
  'name-unresolved',
  'nat-test-inconsistent',
  'nat-test-silent',
  'not-an-id-server',
  'not-deployed',
  'port-closed',
  'ports-half-moved',
  'proxy-closed',
  'proxy-path',
  'push-lost',
  'refused',
  'registration-refused',
  'registration-silent',
  'relay-closes',
  'relay-key',
  'relay-loopback',
  'relay-not-joined',
  'relay-private',
  'relay-unreachable',
  'relay-unresolved',
  'server-unreachable',
  'session-failed',
  'sources-hidden',
  'state-unavailable',
  'udp-closed',
  'udp-one-way',
  'web-socket-closed',
] as const

export type FindingCode = (typeof FINDING_CODES)[number]

/** One thing that was found: what, what shows it, and what to do about it (empty where there is nothing to do). */
export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  readonly what: string
  readonly evidence: string
  readonly remedy: string
}

export const fine = (what: string, evidence: string, code: FindingCode = 'ok'): Finding => ({
  code,
  severity: 'ok',
  what,
  evidence,
  remedy: '',
})

export const wrong = (code: FindingCode, what: string, evidence: string, remedy: string): Finding => ({
  code,
  severity: 'error',
  what,
  evidence,
  remedy,
})

export const doubtful = (code: FindingCode, what: string, evidence: string, remedy: string): Finding => ({
  ...wrong(code, what, evidence, remedy),
  severity: 'warning',
})
