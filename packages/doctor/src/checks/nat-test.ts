import { check, type Verdict } from '../check.ts'
import { doubtful, type Finding, fine } from '../finding.ts'
import { askNat, type NatAnswer } from '../probes/nat-question.ts'
import { tcpNetwork } from '../probes/network.ts'
import { isOfThisMachine } from '../probes/own-addresses.ts'
import { portsOf } from '../target.ts'

export interface NatTestFacts {
  readonly first: NatAnswer | undefined
  readonly second: NatAnswer | undefined
  readonly idPort: number
  /** The server runs on this machine. */
  readonly isHere: boolean
}

/** The test by which clients learn whether others can connect to them: two ports see the same one of ours. */
export const natTest = check<NatTestFacts>({
  name: 'NAT test',
  needs: ['host', 'idServer', 'natTest'],
  applies: ({ target }) => target.mode === 'all',
  probe: async (known) => {
    const { ip, target } = known
    const network = tcpNetwork(known)
    const ports = portsOf(target)
    const ask = (port: number, localPort?: number) =>
      askNat(network, { host: ip, port }, target.limitMs, localPort).catch(() => undefined)
    const first = await ask(ports.id)
    const second = await ask(ports.natTest, first?.ownPort)
    return { first, second, idPort: ports.id, isHere: isOfThisMachine(ip) }
  },
  judge: judgeNatTest,
})

export function judgeNatTest(facts: NatTestFacts): Verdict {
  return { findings: [finding(facts)] }
}

function finding({ first, second, idPort, isHere }: NatTestFacts): Finding {
  if (!first || !second)
    return doubtful(
      'nat-test-silent',
      `the NAT test is not answered at TCP ${first ? idPort - 1 : idPort}`,
      'the connection stands, but no answer comes',
      'both ports have to lead to the same hbbs; with CONSOLE=Y connections from loopback get the console instead',
    )
  if (first.seenPort === second.seenPort)
    return fine('the NAT test agrees', `TCP ${idPort} and ${idPort - 1} see port ${first.seenPort} of ours`)
  const what = 'the two ports of the NAT test see different ports of this machine'
  const evidence = `TCP ${idPort} sees ${first.seenPort}, TCP ${idPort - 1} sees ${second.seenPort}, both from ${first.ownPort}`
  if (isHere) return fine(`${what}, on which the server runs itself: ask again from another one`, evidence)
  return doubtful(
    'nat-test-inconsistent',
    what,
    evidence,
    'if this machine is behind a symmetric NAT that is right, and its sessions go through the relay; if clients in other networks are called symmetric too, something in front of the server translates ports (a userland proxy of containers, a TCP proxy)',
  )
}
