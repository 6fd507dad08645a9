import { randomUUID } from 'node:crypto'
import { type Link, type Network, openLink, parseHostPort } from '@tryst/client'
import { encodeRendezvous } from '@tryst/protocol'
import { check, type Known, type Verdict } from '../check.ts'
import { fine, wrong } from '../finding.ts'
import { clientNetwork } from '../probes/network.ts'
import { portsOf } from '../target.ts'

export interface RelayKeyFacts {
  readonly relay: string
  readonly key: string
  /** What it did with a half that has the clients' key. */
  readonly withKey: 'waits' | 'closes' | 'unreachable'
  /** What it did with a connection that says nothing. */
  readonly silent: 'waits' | 'closes' | 'unreachable'
  /** Two halves that no ID server has announced found each other. */
  readonly joins: boolean
}

/** How long a relay is watched that is to leave a connection open. */
const WATCH_MS = 700
const STANDARD_RELAY_PORT = 21117

/** Whether the relay takes the key that the ID server takes. */
export const relayKey = check<RelayKeyFacts>({
  name: 'relay key',
  needs: ['host', 'relay', 'key'],
  probe: probeRelay,
  judge: judgeRelayKey,
})

/** Where a client goes that is told this relay. */
function relayTarget({ relayServer, target, proxy, ip }: Known) {
  if (target.mode === 'webSocket') return { host: proxy?.host ?? ip, port: portsOf(target).relay }
  return parseHostPort(relayServer ?? '', STANDARD_RELAY_PORT)
}

async function probeRelay(known: Known): Promise<RelayKeyFacts> {
  const network = clientNetwork(known)
  const at = relayTarget(known)
  const { limitMs } = known.target
  const key = known.key?.text ?? ''
  const pairing = randomUUID()
  const [silent, first] = await Promise.all([openRelay(network, at, limitMs), openRelay(network, at, limitMs)])
  first?.send(half(pairing, key))
  const [ofFirst, ofSilent] = await Promise.all([watch(first), watch(silent)])
  const joins = ofFirst === 'waits' && first ? await join(first, network, at, half(pairing, key), limitMs) : false
  for (const link of [silent, first]) void link?.close()
  return { relay: `${at.host}:${at.port}`, key, withKey: ofFirst, silent: ofSilent, joins }
}

const half = (uuid: string, licenceKey: string) => encodeRendezvous({ requestRelay: { uuid, licenceKey } })

const openRelay = (network: Network, at: { host: string; port: number }, limitMs: number): Promise<Link | undefined> =>
  openLink(network, at, { limitMs }).catch(() => undefined)

async function watch(link: Link | undefined): Promise<'waits' | 'closes' | 'unreachable'> {
  if (!link) return 'unreachable'
  return (await link.next(WATCH_MS)) === 'timeout' ? 'waits' : 'closes'
}

async function join(
  first: Link,
  network: Network,
  at: { host: string; port: number },
  request: Uint8Array,
  limitMs: number,
) {
  const second = await openRelay(network, at, limitMs)
  if (!second) return false
  try {
    second.send(request)
    second.send(new TextEncoder().encode('doctor'))
    return typeof (await first.next(WATCH_MS)) === 'object'
  } finally {
    void second.close()
  }
}

export function judgeRelayKey({ relay, key, withKey, silent, joins }: RelayKeyFacts): Verdict {
  if (withKey === 'unreachable' || silent === 'closes') {
    const remedy =
      "see hbbr's log, and its blocklist.txt; behind a load balancer with the PROXY protocol both sides have to use it"
    const finding = wrong(
      'relay-closes',
      `the relay ${relay} closes every connection`,
      'even one that says nothing',
      remedy,
    )
    return { findings: [finding], breaks: ['relay'] }
  }
  if (withKey === 'closes') {
    const finding = wrong(
      'relay-key',
      `the relay ${relay} has another key than the ID server`,
      key === ''
        ? 'it closes connections without a key, and the ID server asks for none'
        : `it closes connections with ${key}, which the ID server takes`,
      'give hbbr the KEY of hbbs: with -k _ or KEY=_ a copy of the same id_ed25519 and id_ed25519.pub; hbbr logs "Relay authentication failed"',
    )
    return { findings: [finding], breaks: ['relay'] }
  }
  const how = joins ? 'it joins two halves' : 'it waits for its ID server to announce a session'
  return { findings: [fine(`the relay ${relay} takes the key`, how)], learned: { relayIsOpen: joins } }
}
