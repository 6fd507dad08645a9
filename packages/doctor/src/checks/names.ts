import { lookup } from 'node:dns/promises'
import { check, type Verdict } from '../check.ts'
import { type Finding, fine, wrong } from '../finding.ts'
import { describeAnswer, type TcpAnswer, tryTcp } from '../probes/tcp-port.ts'
import { isName, portsOf } from '../target.ts'

export interface NameFacts {
  readonly host: string
  readonly port: number
  readonly error: string | undefined
  /** What the name stands for, and what became of a connection there. */
  readonly addresses: readonly (readonly [ip: string, answer: TcpAnswer])[]
}

/** What the name stands for, and whether something answers at each of its addresses. */
export const names = check<NameFacts>({
  name: 'names',
  needs: [],
  probe: async ({ target }) => {
    const { host, limitMs, mode, proxy } = target
    const port =
      mode === 'all' ? portsOf(target).id : isName(host) || proxy ? (proxy?.port ?? 443) : portsOf(target).idWebSocket
    let error: string | undefined
    const found = await lookup(host, { all: true }).catch((cause: NodeJS.ErrnoException) => {
      error = cause.code ?? cause.message
      return []
    })
    const ips = [...new Set(found.map(({ address }) => address))]
    const addresses = await Promise.all(ips.map(async (ip) => [ip, await tryTcp(ip, port, limitMs)] as const))
    return { host, port, error, addresses }
  },
  judge: judgeNames,
})

export function judgeNames({ host, port, error, addresses }: NameFacts): Verdict {
  if (error !== undefined || addresses.length === 0) {
    const remedy = `make a DNS record for ${host}, or give clients the server's address instead`
    const finding = wrong('name-unresolved', `${host} stands for no address`, `look-up: ${error ?? 'empty'}`, remedy)
    return { findings: [finding], breaks: ['host'] }
  }
  const open = addresses.filter(([, { kind }]) => kind === 'open')
  const dead = addresses.filter(([, { kind }]) => kind === 'refused' || kind === 'timeout')
  const findings: Finding[] = []
  if (isName(host)) findings.push(fine(`${host} resolves`, addresses.map(([ip]) => ip).join(', ')))
  // Where none answers, the check of the ports tells why.
  if (open.length > 0)
    for (const [ip, answer] of dead) {
      const remedy = `remove its ${ip.includes(':') ? 'AAAA' : 'A'} record, or open the ports there as well: clients take any of the addresses`
      findings.push(
        wrong(
          'address-dead',
          `${host} also stands for ${ip}, where TCP ${port} is closed`,
          describeAnswer(answer),
          remedy,
        ),
      )
    }
  const [ip] = open[0] ?? dead[0] ?? addresses[0] ?? ['']
  return { findings, learned: { ip } }
}
