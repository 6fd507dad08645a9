import { connect as connectTls } from 'node:tls'
import { check, type Known, type Verdict, type WebSocketWay } from '../check.ts'
import { doubtful, type FindingCode, fine, wrong } from '../finding.ts'
import { describeAnswer, type TcpAnswer, tryTcp } from '../probes/tcp-port.ts'
import { isName } from '../target.ts'

export interface CertificateFacts {
  readonly host: string
  readonly port: number
  /** The operator named the proxy, or uses nothing but WebSocket. */
  readonly isWanted: boolean
  readonly answer: TcpAnswer
  /** Port 80 of the same host, where a proxy without TLS may be. */
  readonly plainAnswer: TcpAnswer | undefined
  /** Undefined: there was no handshake. */
  readonly certificate: SeenCertificate | undefined
  readonly nowMs: number
}

export interface SeenCertificate {
  /** Why clients refuse it, in Node's words; undefined: they don't. */
  readonly fault: string | undefined
  readonly names: string
  readonly issuer: string
  readonly expiresMs: number
}

const EXPIRES_SOON_MS = 7 * 86_400_000

/** The reverse proxy before the WebSocket ports, and its certificate. */
export const certificate = check<CertificateFacts>({
  name: 'certificate',
  needs: ['host'],
  applies: ({ target }) => target.proxy !== undefined || isName(target.host),
  probe: probeCertificate,
  judge: judgeCertificate,
})

async function probeCertificate({ target }: Known): Promise<CertificateFacts> {
  const { limitMs } = target
  const { host, port = 443 } = target.proxy ?? { host: target.host }
  const isWanted = target.proxy !== undefined || target.mode === 'webSocket'
  const answer = await tryTcp(host, port, limitMs)
  const certificate = answer.kind === 'open' ? await readCertificate(host, port, limitMs) : undefined
  const plainAnswer = answer.kind === 'open' || target.proxy?.port ? undefined : await tryTcp(host, 80, limitMs)
  return { host, port, isWanted, answer, plainAnswer, certificate, nowMs: Date.now() }
}

function readCertificate(host: string, port: number, limitMs: number): Promise<SeenCertificate | undefined> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, ...(isName(host) ? { servername: host } : {}), rejectUnauthorized: false })
    const settle = (seen: SeenCertificate | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(seen)
    }
    const timer = setTimeout(() => settle(undefined), limitMs)
    socket.on('error', () => settle(undefined))
    socket.on('secureConnect', () => {
      const { subject, subjectaltname, issuer, valid_to } = socket.getPeerCertificate()
      const { authorized, authorizationError } = socket
      settle({
        // An Error or its code, whatever the types say.
        fault: authorized ? undefined : faultOf(authorizationError),
        names: subjectaltname ?? String(subject?.CN ?? 'none'),
        issuer: String(issuer?.CN ?? issuer?.O ?? 'unknown'),
        expiresMs: Date.parse(valid_to),
      })
    })
  })
}

const faultOf = (error: unknown): string =>
  error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error)

export function judgeCertificate(facts: CertificateFacts): Verdict {
  const { host, port, isWanted, answer, certificate, nowMs } = facts
  if (answer.kind !== 'open') return withoutTls(facts)
  const way: WebSocketWay = { scheme: 'wss', host, port: port === 443 ? undefined : port }
  if (!certificate) {
    const remedy = 'see what listens there: the reverse proxy has to speak TLS on this port'
    const finding = wrong('proxy-closed', `TCP ${port} of ${host} speaks no TLS`, 'the handshake ended', remedy)
    return { findings: [finding], breaks: ['proxy'] }
  }
  const { fault, names, issuer, expiresMs } = certificate
  const seen = `it is for ${names}, issued by ${issuer}, until ${new Date(expiresMs).toISOString().slice(0, 10)}`
  if (fault !== undefined) {
    const [code, what, remedy] = judgeFault(fault, host)
    const finding = { ...wrong(code, what, `${host}:${port}: ${fault}; ${seen}`, remedy) }
    // Without a word from the operator the page at 443 may be none of ours.
    return isWanted
      ? { findings: [finding], breaks: ['proxy'] }
      : { findings: [{ ...finding, severity: 'warning' }], breaks: ['proxy'] }
  }
  const learned = { proxy: way }
  if (expiresMs - nowMs < EXPIRES_SOON_MS) {
    const remedy = 'see why it was not renewed'
    return {
      findings: [doubtful('certificate-expiring', 'the certificate expires within a week', seen, remedy)],
      learned,
    }
  }
  return { findings: [fine(`the certificate of ${host} is valid`, seen)], learned }
}

function withoutTls({ host, port, isWanted, answer, plainAnswer }: CertificateFacts): Verdict {
  if (plainAnswer?.kind === 'open' && !isWanted) return { findings: [] }
  const evidence = describeAnswer(answer)
  if (!isWanted) return { findings: [fine(`there is no reverse proxy at ${host}, TCP ${port}`, evidence)] }
  if (plainAnswer?.kind === 'open') {
    const what = `there is no TLS at ${host}, only TCP 80`
    return { findings: [fine(what, evidence)], learned: { proxy: { scheme: 'ws', host, port: undefined } } }
  }
  const remedy = `start the reverse proxy (nginx), and open TCP ${port} up to it`
  const finding = wrong(
    'proxy-closed',
    `TCP ${port} of ${host} is closed: no WebSocket client gets in`,
    evidence,
    remedy,
  )
  return { findings: [finding], breaks: ['proxy'] }
}

function judgeFault(fault: string, host: string): readonly [FindingCode, string, string] {
  switch (fault) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return [
        'certificate-name',
        `the certificate is not for ${host}`,
        `get one for ${host} (PUBLIC_HOST), or give clients a name that it is for`,
      ]
    case 'CERT_HAS_EXPIRED':
      return ['certificate-expired', 'the certificate has expired', 'renew it, and see why that was not done in time']
    case 'CERT_NOT_YET_VALID':
      return ['certificate-expired', 'the certificate is not valid yet', "check this machine's clock and the server's"]
    default:
      return [
        'certificate-untrusted',
        'clients do not trust the certificate',
        'use one that a public authority has issued, with its intermediate certificates (fullchain.pem); or install your own authority on each client',
      ]
  }
}
