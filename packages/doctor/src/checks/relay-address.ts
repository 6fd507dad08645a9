import { lookup } from 'node:dns/promises'
import { parseHostPort } from '@tryst/client'
import { type AddressScope, scopeOf } from '../address-scope.ts'
import { check, type Known, type Verdict } from '../check.ts'
import { type Finding, fine, wrong } from '../finding.ts'
import { describeAnswer, type TcpAnswer, tryTcp } from '../probes/tcp-port.ts'
import { portsOf, STANDARD_PORT } from '../target.ts'
import { hairpinMissing, halfMoved } from './ports.ts'

export interface RelayAddressFacts {
  readonly relay: string
  /** The ID server named it; else clients would derive it. */
  readonly isNamed: boolean
  readonly ip: string | undefined
  readonly port: number
  readonly answer: TcpAnswer
  readonly serverHost: string
  readonly serverIp: string
  readonly idPort: number
  readonly derivedPort: number
  /** The relay's port at the ID server's address. */
  readonly atServer: TcpAnswer | undefined
  /** The relay port of a server whose ports were not changed, at the relay's address. */
  readonly atStandardPort: TcpAnswer | undefined
}

const STANDARD_RELAY_PORT = STANDARD_PORT + 1

/** The relay that clients are told: whether they can get there. */
export const relayAddress = check<RelayAddressFacts>({
  name: 'relay address',
  needs: ['host'],
  applies: ({ target }) => target.mode === 'all',
  probe: probeRelayAddress,
  judge: judgeRelayAddress,
})

async function probeRelayAddress({ relayServer, target, ip: serverIp }: Known): Promise<RelayAddressFacts> {
  const { limitMs, host: serverHost, port: idPort } = target
  const derivedPort = portsOf(target).relay
  const relay = relayServer ?? `${serverIp.includes(':') ? `[${serverIp}]` : serverIp}:${derivedPort}`
  const { host, port } = parseHostPort(relay, STANDARD_RELAY_PORT)
  const ip = await lookup(host).then(
    ({ address }) => address,
    () => undefined,
  )
  const answer = ip === undefined ? ({ kind: 'timeout' } as const) : await tryTcp(ip, port, limitMs)
  const isOpen = answer.kind === 'open'
  const atServer = isOpen || ip === serverIp ? undefined : await tryTcp(serverIp, port, limitMs)
  const tryStandard = !isOpen && ip !== undefined && port !== STANDARD_RELAY_PORT
  const atStandardPort = tryStandard ? await tryTcp(ip, STANDARD_RELAY_PORT, limitMs) : undefined
  const isNamed = relayServer !== undefined
  return { relay, isNamed, ip, port, answer, serverHost, serverIp, idPort, derivedPort, atServer, atStandardPort }
}

const NAME_IT =
  'set PUBLIC_HOST to the name or address that clients use (or RELAY_SERVERS, where the relay is elsewhere)'

export function judgeRelayAddress(facts: RelayAddressFacts): Verdict {
  const found = faultOf(facts)
  // What clients would derive is a guess: the ID server could not be asked for the relay.
  const fault =
    found && !facts.isNamed && found.code === 'relay-unreachable' ? ({ ...found, severity: 'warning' } as const) : found
  if (fault) return { findings: [fault], breaks: ['relay'], learned: { relayServer: facts.relay } }
  const { relay, isNamed, answer } = facts
  const what = isNamed
    ? `clients are told the relay ${relay}, which can be reached`
    : `TCP ${facts.port} (relay) is open`
  return { findings: [fine(what, describeAnswer(answer))], learned: { relayServer: relay } }
}

function faultOf(facts: RelayAddressFacts): Finding | undefined {
  const { relay, ip, port, answer, serverHost, serverIp, idPort, derivedPort, atServer, atStandardPort } = facts
  if (ip === undefined)
    return wrong(
      'relay-unresolved',
      `the relay ${relay}, which clients are told, stands for no address`,
      'look-up failed',
      NAME_IT,
    )
  const [scope, serverScope] = [scopeOf(ip), scopeOf(serverIp)]
  const evidence = `${ip}, TCP ${port}: ${describeAnswer(answer)}`
  if (scope === 'loopback' && serverScope !== 'loopback')
    return wrong(
      'relay-loopback',
      `clients are told the relay ${relay}: each looks for it on itself`,
      evidence,
      NAME_IT,
    )
  if (answer.kind === 'open' && !(scope !== 'public' && serverScope === 'public')) return undefined
  if (scope !== 'public' && (serverScope === 'public' || (scope === 'container' && atServer?.kind === 'open')))
    return wrong('relay-private', `clients are told the relay ${relay}: ${PRIVATE[scope]}`, evidence, NAME_IT)
  if (atStandardPort?.kind === 'open' && port === derivedPort) return halfMoved(ip, idPort, port, STANDARD_RELAY_PORT)
  if (scope === 'public' && serverScope !== 'public' && atServer?.kind === 'open' && answer.kind === 'timeout')
    return hairpinMissing(
      relay,
      `clients are told the relay ${relay}; TCP ${port} answers at ${serverIp} (${serverHost}), but not at ${ip}: ${describeAnswer(answer)}`,
    )
  return wrong(
    'relay-unreachable',
    `the relay that clients ${facts.isNamed ? 'are told' : 'derive'} cannot be reached: ${relay}`,
    evidence,
    `start hbbr, open and forward TCP ${port} up to it; if the relay is somewhere else, ${NAME_IT}`,
  )
}

const PRIVATE: Readonly<Record<AddressScope, string>> = {
  loopback: 'an address of each machine itself',
  container: 'an address of a container network, which nobody outside can reach',
  private: 'a private address, which nobody outside its network can reach',
  public: '',
}
