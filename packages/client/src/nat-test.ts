import { rendezvous } from '@tryst/protocol'
import { pause } from './clock.ts'
import { isMessage, type Network, RendezvousLink } from './rendezvous-link.ts'
import { idServer, natTestServer } from './service-address.ts'
import { CONNECT_LIMIT_MS, NAT_TEST_LONGEST_PAUSE_MS, SERVER_LIST_SERIAL } from './stock-client.ts'

export type NatType = 'unknown' | 'asymmetric' | 'symmetric'

const WIRE = {
  unknown: rendezvous.NatType.UNKNOWN_NAT,
  asymmetric: rendezvous.NatType.ASYMMETRIC,
  symmetric: rendezvous.NatType.SYMMETRIC,
} as const

export const encodeNatType = (natType: NatType): rendezvous.NatType => WIRE[natType]

/** Values that we do not know are as good as unknown. */
export const decodeNatType = (value: number | null | undefined): NatType =>
  value === WIRE.asymmetric ? 'asymmetric' : value === WIRE.symmetric ? 'symmetric' : 'unknown'

/** What the two test ports saw of one local port; 0 or undefined: no answer. */
export function judgeNat(firstPort: number | undefined, secondPort: number | undefined): NatType {
  if (!firstPort || !secondPort) return 'unknown'
  return firstPort === secondPort ? 'asymmetric' : 'symmetric'
}

/**
 * One NAT test: the ID server's two ports, one after the other from the same local port (docs/protocol.md, NAT type
 * test). Gives `unknown` where a port does not answer.
 */
export async function testNat(network: Network, signal?: AbortSignal): Promise<NatType> {
  try {
    const first = await askPort(network, idServer(network.server), undefined, signal)
    if (!first.port) return 'unknown'
    const second = await askPort(network, natTestServer(network.server), first.localPort, signal)
    return judgeNat(first.port, second.port)
  } catch {
    return 'unknown'
  }
}

async function askPort(
  network: Network,
  target: { host: string; port: number },
  localPort: number | undefined,
  signal: AbortSignal | undefined,
) {
  const rendezvousLink = await RendezvousLink.open({ ...network, transport: 'tcp' }, target, { localPort, signal })
  try {
    rendezvousLink.send({ testNatRequest: { serial: SERVER_LIST_SERIAL } })
    const answer = await rendezvousLink.receiveSkippingKeyExchange(CONNECT_LIMIT_MS)
    const port = isMessage(answer) ? answer.testNatResponse?.port : undefined
    return { localPort: rendezvousLink.link.local.port, port: port ?? undefined }
  } finally {
    void rendezvousLink.close()
  }
}

/** Repeats a test that failed, after 1, 3, 7, 15 s and so on, until its outcome is known or `signal` is aborted. */
export async function repeatNatTest(network: Network, signal: AbortSignal): Promise<NatType> {
  for (let pauseMs = 1_000; ; pauseMs = Math.min(2 * pauseMs + 1_000, NAT_TEST_LONGEST_PAUSE_MS)) {
    await pause(network.clock, pauseMs, signal)
    if (signal.aborted) return 'unknown'
    const natType = await testNat(network, signal)
    if (natType !== 'unknown') return natType
  }
}
