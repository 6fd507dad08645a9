import { networkInterfaces } from 'node:os'
import { check, type Part, type Verdict } from '../check.ts'
import { type Finding, fine, wrong } from '../finding.ts'
import { describeAnswer, type TcpAnswer, tryTcp } from '../probes/tcp-port.ts'
import { portsOf, STANDARD_PORT } from '../target.ts'

type PortName = keyof ReturnType<typeof portsOf>

export interface PortFacts {
  readonly host: string
  readonly ip: string
  readonly ports: Readonly<Record<PortName, number>>
  readonly answers: ReadonlyMap<number, TcpAnswer>
  /** The NAT-test port of a server whose ports were not changed, where the derived one is closed. */
  readonly standardNatTest: TcpAnswer | undefined
  /** An address of this machine at which an ID server answers while the examined one does not. */
  readonly answersHere: string | undefined
}

const PURPOSE: Readonly<Record<PortName, string>> = {
  api: 'API, status page',
  natTest: 'NAT test, online query',
  id: 'ID server',
  relay: 'relay',
  idWebSocket: 'ID server over WebSocket without a proxy',
  relayWebSocket: 'relay over WebSocket without a proxy',
}

/** Every TCP port that clients derive from the ID server's. */
export const ports = check<PortFacts>({
  name: 'TCP ports',
  needs: ['host'],
  applies: ({ target }) => target.mode === 'all',
  probe: async ({ target, ip }) => {
    const { host, limitMs } = target
    const ports = portsOf(target)
    const all = Object.values(ports)
    const tried = await Promise.all(all.map(async (port) => [port, await tryTcp(ip, port, limitMs)] as const))
    const answers = new Map(tried)
    const isMoved = target.port !== STANDARD_PORT && answers.get(ports.natTest)?.kind !== 'open'
    const standardNatTest = isMoved ? await tryTcp(ip, STANDARD_PORT - 1, limitMs) : undefined
    const isSilent = all.every((port) => answers.get(port)?.kind !== 'open')
    const answersHere = isSilent ? await findHere(ip, ports.id, limitMs) : undefined
    return { host, ip, ports, answers, standardNatTest, answersHere }
  },
  judge: judgePorts,
})

async function findHere(except: string, port: number, limitMs: number): Promise<string | undefined> {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const ips = own.filter(({ scopeid }) => !scopeid).map(({ address }) => address)
  for (const ip of ips.filter((ip) => ip !== except)) if ((await tryTcp(ip, port, limitMs)).kind === 'open') return ip
  return undefined
}

export function judgePorts(facts: PortFacts): Verdict {
  const { ports, answers, host, ip } = facts
  const isOpen = (port: number) => answers.get(port)?.kind === 'open'
  const learned = { answers }
  if (!Object.values(ports).some(isOpen)) return { findings: [nothingOpen(facts)], breaks: ['host'], learned }

  const breaks: Part[] = []
  const findings: Finding[] = []
  for (const [name, port] of Object.entries(ports) as [PortName, number][]) {
    const what = `TCP ${port} (${PURPOSE[name]})`
    const evidence = describeAnswer(answers.get(port))
    if (isOpen(port)) findings.push(fine(what, evidence))
    else if (name === 'id') {
      breaks.push('idServer')
      const remedy = 'start hbbs, and open or forward this port for TCP up to it'
      findings.push(wrong('port-closed', `${what} is closed`, `${ip}: ${evidence}`, remedy))
    } else if (name === 'natTest') {
      breaks.push('natTest')
      findings.push(natTestClosed(facts, what, evidence))
    } else {
      // The relay may be elsewhere, WebSockets behind a proxy, and nobody needs an API: later checks tell.
      findings.push(fine(`${what} is closed at ${host}`, evidence))
    }
  }
  return { findings, breaks, learned }
}

function natTestClosed({ ip, ports, standardNatTest }: PortFacts, what: string, evidence: string): Finding {
  if (standardNatTest?.kind === 'open') return halfMoved(ip, ports.id, ports.natTest, STANDARD_PORT - 1)
  const remedy = 'open or forward it for TCP beside the main port: clients test their NAT there and ask who is online'
  return wrong('port-closed', `${what} is closed`, `${ip}: ${evidence}`, remedy)
}

/** One of two ports that clients derive from each other was moved alone. */
export const halfMoved = (ip: string, idPort: number, expected: number, found: number): Finding =>
  wrong(
    'ports-half-moved',
    `only half of the ports were moved: the ID server has ${idPort}, but ${expected}, which clients derive from that, is closed`,
    `TCP ${found}, which belongs to ${STANDARD_PORT}, is open at ${ip}`,
    `give hbbs and hbbr the same PORT=${idPort} (hbbr takes PORT + 1), and publish or forward each port under its own number`,
  )

function nothingOpen({ host, ip, ports, answers, answersHere }: PortFacts): Finding {
  const evidence = describeAnswer(answers.get(ports.id))
  if (answersHere !== undefined && answers.get(ports.id)?.kind === 'timeout')
    return hairpinMissing(host, `TCP ${ports.id} answers at ${answersHere}, but not at ${ip}: ${evidence}`)
  return wrong(
    'server-unreachable',
    `no port of ${host} is open`,
    `${ip}, TCP ${Object.values(ports).join(', ')}: ${evidence}`,
    `check that ${ip} is the server's address, that hbbs runs, and that the ports are open and forwarded up to it`,
  )
}

/** The server cannot be reached by its public address from the network that it stands in. */
export const hairpinMissing = (host: string, evidence: string): Finding =>
  wrong(
    'hairpin-missing',
    `${host} cannot be reached from inside the server's own network`,
    evidence,
    'switch on NAT loopback (hairpin) in the router, or let the name stand for the private address inside (split DNS); if clients outside cannot connect either, the ports are not forwarded',
  )
