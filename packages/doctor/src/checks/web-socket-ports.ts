import { check, type Known, type Verdict } from '../check.ts'
import { fine, wrong } from '../finding.ts'
import { askNat } from '../probes/nat-question.ts'
import { webSocketNetwork } from '../probes/network.ts'
import { portsOf } from '../target.ts'

export interface WebSocketPortFacts {
  readonly ip: string
  readonly port: number
  readonly answer: 'answered' | 'silent' | 'closed'
  readonly isNeeded: boolean
}

/** The ID server over WebSocket without a proxy, as clients do whose server is an address. */
export const webSocketPorts = check<WebSocketPortFacts>({
  name: 'WebSocket port',
  needs: ['host'],
  applies: ({ target, answers, proxy }) =>
    target.mode === 'all' ? answers.get(portsOf(target).idWebSocket)?.kind === 'open' : proxy === undefined,
  probe: async (known: Known) => {
    const { ip, target } = known
    const answer = await askNat(
      webSocketNetwork(known, undefined),
      { host: ip, port: target.port },
      target.limitMs,
    ).then(
      (answered) => (answered ? 'answered' : 'silent'),
      () => 'closed' as const,
    )
    return { ip, port: portsOf(target).idWebSocket, answer, isNeeded: target.mode === 'webSocket' }
  },
  judge: judgeWebSocketPort,
})

export function judgeWebSocketPort({ ip, port, answer, isNeeded }: WebSocketPortFacts): Verdict {
  if (answer === 'answered')
    return { findings: [fine(`the ID server answers over WebSocket at TCP ${port}`, `ws://${ip}:${port}/`)] }
  const finding = wrong(
    'web-socket-closed',
    `TCP ${port} does not lead to the WebSocket port of hbbs`,
    answer === 'closed' ? 'no WebSocket comes about' : 'the upgrade is made, but no message answered',
    `see what listens there; it has to be PORT + 2 of hbbs`,
  )
  return { findings: [finding], breaks: isNeeded ? ['proxy'] : [] }
}
