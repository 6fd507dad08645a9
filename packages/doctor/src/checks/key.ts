import { randomBytes } from 'node:crypto'
import { RendezvousLink } from '@tryst/client'
import { decodeBase64, PUBLIC_KEY_BYTES, rendezvous } from '@tryst/protocol'
import { answerKeyExchange, createBoxKeyPair, createSessionKey, KeyOfferError } from '@tryst/protocol/secure-tcp'
import { check, type Known, type Verdict } from '../check.ts'
import { doubtful, type Finding, fine, wrong } from '../finding.ts'
import { ID_PREFIX } from '../own-identity.ts'
import { getOverHttp } from '../probes/http.ts'
import { clientNetwork } from '../probes/network.ts'
import { apiUrlOf } from '../target.ts'

/** What the server signs with, against the key that clients have. `foreign`: something else came first. */
export type Offer = 'signed' | 'otherKey' | 'none' | 'foreign' | 'notAsked'

/** The answer to a request for a device that nobody has. */
export type UnknownDeviceAnswer =
  | 'unknown'
  | 'keyMismatch'
  | 'silence'
  | 'closed'
  | 'foreign'
  | { readonly refusal: string }

export interface KeyFacts {
  readonly host: string
  readonly port: number
  readonly key: { readonly text: string; readonly from: string } | undefined
  readonly keyOnPage: string | undefined
  readonly offer: Offer
  readonly answer: UnknownDeviceAnswer
}

/** The key that clients have against the one that the ID server has; and whether it is one, and knows its devices. */
export const key = check<KeyFacts>({
  name: 'key',
  needs: ['host', 'idServer'],
  probe: async (known) => {
    const { target } = known
    const keyOnPage = await readStatusPage(apiUrlOf(target, known.ip), target.limitMs)
    const onPage = keyOnPage === undefined ? undefined : { text: keyOnPage, from: 'the status page' }
    const key = target.key ?? onPage ?? target.folderKey
    const asking = { ...known, key }
    const offer = target.mode === 'all' ? await awaitOffer(asking) : 'notAsked'
    const answer = await askForNobody(asking)
    return { host: target.host, port: target.port, key, keyOnPage, offer, answer }
  },
  judge: judgeKey,
})

const KEY_ROW = /<dt>Key<\/dt><dd><code>([^<]+)<\/code>/

async function readStatusPage(url: string, limitMs: number): Promise<string | undefined> {
  const page = await getOverHttp(`${url}/`, limitMs)
  // The page writes + as it is, and = too.
  return KEY_ROW.exec(page?.body ?? '')?.[1]
}

async function awaitOffer(known: Known): Promise<Offer> {
  const { target, ip, key } = known
  const serverKey = decodeBase64(key?.text ?? '')
  if (serverKey?.length !== PUBLIC_KEY_BYTES) return 'notAsked'
  const link = await RendezvousLink.open(clientNetwork(known), { host: ip, port: target.port }, target).catch(
    () => undefined,
  )
  if (!link) return 'none'
  try {
    const first = await link.link.next(target.limitMs)
    if (typeof first === 'string') return 'none'
    return answerKeyExchange(first, serverKey, createBoxKeyPair(), createSessionKey()) ? 'signed' : 'foreign'
  } catch (error) {
    return error instanceof KeyOfferError && error.fault === 'signature' ? 'otherKey' : 'foreign'
  } finally {
    void link.close()
  }
}

/** Stores nothing: the server only looks the device up. */
async function askForNobody(known: Known): Promise<UnknownDeviceAnswer> {
  const { target, ip, key } = known
  const network = clientNetwork(known)
  const server = { host: known.proxy && target.mode === 'webSocket' ? known.proxy.host : ip, port: target.port }
  const link = await RendezvousLink.open(network, server, target).catch(() => undefined)
  if (!link) return 'closed'
  try {
    const id = `${ID_PREFIX}${randomBytes(4).toString('hex')}`
    link.send({ punchHoleRequest: { id, licenceKey: key?.text ?? '', natType: rendezvous.NatType.ASYMMETRIC } })
    const answer = await link.receiveSkippingKeyExchange(target.limitMs)
    if (typeof answer === 'string')
      return answer === 'timeout' ? 'silence' : answer === 'unreadable' ? 'foreign' : 'closed'
    const response = answer.punchHoleResponse
    if (!response) return 'foreign'
    // With the code of the attempt behind it.
    if (/^ID does not exist \([0-9A-Z]+\)$/.test(response.otherFailure)) return 'unknown'
    return readAnswer(response)
  } finally {
    void link.close()
  }
}

const UNKNOWN_ID = /not exist/i

/** A server may put a text of its own beside the reason. */
function readAnswer({ failure, otherFailure }: rendezvous.PunchHoleResponse.$Properties): UnknownDeviceAnswer {
  if (failure === rendezvous.PunchHoleResponse.Failure.LICENSE_MISMATCH) return 'keyMismatch'
  return otherFailure && !UNKNOWN_ID.test(otherFailure) ? { refusal: otherFailure } : 'unknown'
}

export function judgeKey(facts: KeyFacts): Verdict {
  const { host, port, key, offer, answer } = facts
  const learned = { key }
  if (answer === 'foreign' || offer === 'foreign' || (answer === 'closed' && offer === 'none')) {
    const remedy =
      'see what listens there, and what the port is forwarded to; behind a load balancer with the PROXY protocol both sides have to use it'
    const evidence = answer === 'closed' ? 'it closes connections with a request' : 'it does not speak the protocol'
    const finding = wrong('not-an-id-server', `what answers at ${host}, TCP ${port}, is no ID server`, evidence, remedy)
    return { findings: [finding], breaks: ['idServer', 'state'], learned }
  }
  if (answer === 'keyMismatch' || offer === 'otherKey')
    return { findings: [key ? wrongKey(facts, key) : unknownKey(facts)], breaks: ['key'], learned }
  if (answer === 'silence') {
    const finding = wrong(
      'state-unavailable',
      'the ID server cannot ask its store',
      'it does not answer whether a device exists, though the connection stands',
      'start Redis, and check REDIS_URL, its password and the network to it (SQLite: the disk); hbbs logs "state not available" with the reason, /readyz too',
    )
    return { findings: [finding], breaks: ['state'], learned }
  }
  return { findings: keyFindings(facts), learned }
}

function keyFindings({ key, offer, answer, keyOnPage }: KeyFacts): Finding[] {
  const findings: Finding[] = []
  if (!key) findings.push(fine('the ID server asks for no key', 'it answers without one; none was given or found'))
  else if (offer === 'none')
    findings.push(
      doubtful(
        'key-unsigned',
        'the ID server offers no encryption',
        'nothing came on a connection that waited for it',
        'clients that are signed in, or have UDP switched off, cannot connect: run hbbs with a key pair (KEY=-), and in the present version',
      ),
    )
  else
    findings.push(
      fine(
        'the key is right',
        `${key.text}, from ${key.from}${offer === 'signed' ? '; the server signs with it' : ''}`,
      ),
    )
  if (typeof answer === 'object')
    findings.push(fine('strangers may not ask for devices', `the server says: ${answer.refusal}`))
  if (key && keyOnPage !== undefined && keyOnPage !== key.text)
    findings.push(
      doubtful(
        'key-wrong',
        'the status page shows another key than the ID server takes',
        `${keyOnPage} instead of ${key.text}`,
        'give the API the KEY of hbbs, or let it run in the same folder',
      ),
    )
  return findings
}

function wrongKey({ offer, answer, keyOnPage }: KeyFacts, { text, from }: { text: string; from: string }): Finding {
  const shown = keyOnPage !== undefined && keyOnPage !== text ? `; the status page shows ${keyOnPage}` : ''
  const ways = [
    answer === 'keyMismatch' ? 'it answers "Key mismatch"' : '',
    offer === 'otherKey' ? 'it signs with another key' : '',
  ]
  return wrong(
    'key-wrong',
    "the key is not the ID server's",
    `${text} (${from}): ${ways.filter(Boolean).join(', ')}${shown}`,
    'copy the key that hbbs logs at its start ("Key:"), which is the content of its id_ed25519.pub, into the clients',
  )
}

const unknownKey = ({ host }: KeyFacts): Finding =>
  doubtful(
    'key-unknown',
    'the server asks for a key, which is not known here',
    `no --key, no status page of ${host}, no key files in this folder`,
    'give the key of the clients with --key; what needs it was not checked',
  )
