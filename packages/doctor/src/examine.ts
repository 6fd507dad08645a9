import type { Check, Known, Part, Verdict } from './check.ts'
import { certificate } from './checks/certificate.ts'
import { clock } from './checks/clock.ts'
import { forwardedHeaders } from './checks/forwarded-headers.ts'
import { key } from './checks/key.ts'
import { names } from './checks/names.ts'
import { natTest } from './checks/nat-test.ts'
import { ports } from './checks/ports.ts'
import { proxyPaths } from './checks/proxy-paths.ts'
import { registration } from './checks/registration.ts'
import { relayAddress } from './checks/relay-address.ts'
import { relayKey } from './checks/relay-key.ts'
import { anySession, relayedSession } from './checks/sessions.ts'
import { sources } from './checks/sources.ts'
import { udp } from './checks/udp.ts'
import { webSocketPorts } from './checks/web-socket-ports.ts'
import { doubtful, type Finding } from './finding.ts'
import type { Target } from './target.ts'

/** Causes stand before what follows from them. */
const CHECKS: readonly Check[] = [
  names,
  ports,
  clock,
  webSocketPorts,
  certificate,
  proxyPaths,
  key,
  udp,
  natTest,
  registration,
  sources,
  relayAddress,
  relayKey,
  forwardedHeaders,
  relayedSession,
  anySession,
]

export interface Examination {
  readonly host: string
  readonly findings: readonly Finding[]
  /** Checks that were left out, since what they need is broken. */
  readonly leftOut: readonly string[]
}

/** Examines a server from outside, as its clients see it. @param onFinding is told of each finding at once */
export async function examine(
  target: Target,
  onFinding: (finding: Finding) => void = () => undefined,
): Promise<Examination> {
  const closing: (() => Promise<unknown>)[] = []
  let known: Known = {
    target,
    ip: target.host,
    key: target.key,
    answers: new Map(),
    proxy: undefined,
    device: undefined,
    relayServer: undefined,
    seenIp: undefined,
    relayIsOpen: undefined,
    onEnd: (close) => closing.unshift(close),
  }
  const broken = new Set<Part>()
  const findings: Finding[] = []
  const leftOut: string[] = []
  try {
    for (const check of CHECKS) {
      if (check.applies && !check.applies(known)) continue
      if (check.needs.some((part) => broken.has(part))) {
        leftOut.push(check.name)
        continue
      }
      const verdict = await check.run(known).catch((error: unknown) => notMade(check, error))
      known = { ...known, ...verdict.learned }
      for (const part of verdict.breaks ?? []) broken.add(part)
      // Where clients have nothing else, all of them need the proxy.
      if (target.mode === 'webSocket' && broken.has('proxy')) broken.add('idServer').add('relay')
      for (const finding of verdict.findings) {
        findings.push(finding)
        onFinding(finding)
      }
    }
  } finally {
    for (const close of closing) await close()
  }
  return { host: target.host, findings, leftOut }
}

/** A mistake of ours, or of this machine's: the others go on. */
function notMade({ name }: Check, error: unknown): Verdict {
  const evidence = error instanceof Error ? error.message : String(error)
  const remedy = 'see whether this machine lacks something; if not, this is a fault of the doctor'
  return { findings: [doubtful('check-failed', `this could not be checked: ${name}`, evidence, remedy)] }
}
