import { ConnectError, Controller, type ControllerSession } from '@tryst/client'
import { check, type Known, type Verdict } from '../check.ts'
import { fine, wrong } from '../finding.ts'
import { clientNetwork } from '../probes/network.ts'
import { OWN_PASSWORD } from '../probes/own-device.ts'

/** What came of a session. `notJoined`: both sides reached the relay, which left them alone. */
export type SessionOutcome =
  | {
      readonly kind: 'echoed'
      readonly path: string
      readonly bytes: number
      readonly ms: number
      readonly isEncrypted: boolean
    }
  | { readonly kind: 'failed'; readonly failure: string; readonly text: string }

export interface SessionFacts {
  readonly outcome: SessionOutcome
  readonly relayServer: string | undefined
  readonly relayIsOpen: boolean | undefined
}

const ECHO_MS = 1_000
const CHUNK_BYTES = 64 * 1024
const MAX_ECHO_BYTES = 16 << 20
const LONGEST_ATTEMPT_MS = 8_000

/** A real session through the relay: introduced by the ID server, encrypted, with as many bytes as go in a second. */
export const relayedSession = check<SessionFacts>({
  name: 'relayed session',
  needs: ['host', 'idServer', 'udp', 'state', 'key', 'device', 'relay'],
  applies: ({ device }) => device !== undefined,
  probe: async (known) => ({ ...known, outcome: await trySession(known, true) }),
  judge: judgeRelayed,
})

/** A session as any client opens it: direct where that is possible. */
export const anySession = check<Omit<SessionFacts, 'relayIsOpen'>>({
  name: 'session',
  needs: ['host', 'idServer', 'udp', 'state', 'key', 'device', 'relay'],
  applies: ({ device, target }) => device !== undefined && target.mode === 'all',
  probe: async (known) => ({ ...known, outcome: await trySession(known, false) }),
  judge: judgeAny,
})

async function trySession(known: Known, forceRelay: boolean): Promise<SessionOutcome> {
  const { device, target } = known
  if (!device) throw new Error('a device was expected')
  const { server, transport } = clientNetwork(known)
  const controller = new Controller({ server, transport })
  const signal = AbortSignal.timeout(Math.max(2 * target.limitMs, LONGEST_ATTEMPT_MS))
  try {
    const session = await controller.connect(device.id, connectOptions(known, forceRelay, signal))
    const { bytes, ms } = await echoed(session, target.limitMs)
    const { path, isEncrypted } = session
    await session.close()
    return { kind: 'echoed', path, bytes, ms, isEncrypted }
  } catch (error) {
    const failure = error instanceof ConnectError ? error.failure : 'noEcho'
    return { kind: 'failed', failure, text: (error as Error).message }
  } finally {
    await controller.close()
  }
}

/** A server without a key pair vouches for nobody: there, stock clients ask their user. */
const connectOptions = ({ key }: Known, forceRelay: boolean, signal: AbortSignal) => ({
  password: OWN_PASSWORD,
  forceRelay,
  signal,
  unencrypted: key === undefined ? ('accept' as const) : ('refuse' as const),
})

/** Sends for a second and waits until all of it is back. @throws Error when it does not come back */
async function echoed(session: ControllerSession, limitMs: number): Promise<{ bytes: number; ms: number }> {
  const chunk = new Uint8Array(CHUNK_BYTES)
  let [sent, back, isOver] = [0, 0, false]
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>()
  session.onData = (bytes) => {
    back += bytes.length
    if (isOver && back >= sent) resolve()
  }
  const startedMs = performance.now()
  const timer = setTimeout(
    () => reject(new Error(`of ${sent} bytes ${back} came back`)),
    ECHO_MS + Math.max(limitMs, LONGEST_ATTEMPT_MS),
  )
  try {
    const send = async () => {
      while (performance.now() - startedMs < ECHO_MS && sent < MAX_ECHO_BYTES) {
        sent += CHUNK_BYTES
        await session.write(chunk)
        // The echo is read in between.
        await new Promise((proceed) => setImmediate(proceed))
      }
      isOver = true
      if (back >= sent) resolve()
    }
    const ended = session.ended.then(() =>
      Promise.reject(new Error(`the session ended; of ${sent} bytes ${back} came back`)),
    )
    await Promise.race([Promise.all([send(), complete]), ended])
    return { bytes: back, ms: performance.now() - startedMs }
  } finally {
    clearTimeout(timer)
  }
}

const BITS_PER_MEGABIT = 1e6

const describeEcho = ({ path, bytes, ms, isEncrypted }: Extract<SessionOutcome, { kind: 'echoed' }>) =>
  `${path}${isEncrypted ? ', encrypted' : ', not encrypted'}: ${(bytes / 1e6).toFixed(1)} MB back in ${Math.round(ms)} ms, ` +
  `${((bytes * 8 * 1_000) / ms / BITS_PER_MEGABIT).toFixed(0)} Mbit/s each way`

export function judgeRelayed({ outcome, relayServer, relayIsOpen }: SessionFacts): Verdict {
  const relay = relayServer ?? 'over WebSocket'
  if (outcome.kind === 'echoed') return { findings: [fine('a session through the relay works', describeEcho(outcome))] }
  const { failure, text } = outcome
  const evidence = `the relay ${relay} takes the key, and both sides got there, but ${failure === 'aborted' ? 'nothing came through' : text}`
  if (failure === 'aborted' || failure === 'handshake') {
    const why = relayIsOpen
      ? 'several relays behind one name do not know each other'
      : 'the relay demands tickets of the ID server, and none arrived'
    const finding = wrong(
      'relay-not-joined',
      `the relay does not join the two sides of a session: ${why}`,
      evidence,
      'give hbbs and every hbbr the same Redis: REDIS_URL with the same database number, and the same REDIS_PREFIX',
    )
    return { findings: [finding], breaks: ['relay'] }
  }
  return { findings: [failed('through the relay', outcome)], breaks: ['relay'] }
}

export function judgeAny({ outcome }: Pick<SessionFacts, 'outcome'>): Verdict {
  if (outcome.kind === 'echoed') return { findings: [fine('a session works', describeEcho(outcome))] }
  return { findings: [failed('as clients open it', outcome)] }
}

const failed = (how: string, { failure, text }: Extract<SessionOutcome, { kind: 'failed' }>) =>
  wrong(
    'session-failed',
    `a session ${how} does not come about`,
    `${text} (${failure})`,
    'see the logs of hbbs and hbbr; docs/troubleshooting.md goes by this text',
  )
