import type { Endpoint, RendezvousMessage, rendezvous } from '@tryst/protocol'
import type { DeviceAnswer } from './cluster.ts'

type AnswerMessage = Extract<RendezvousMessage, { union: 'punchHoleSent' | 'localAddr' | 'relayResponse' }>

const ANSWER_KINDS = {
  punchHoleSent: 'punch-hole-sent',
  localAddr: 'local-addr',
  relayResponse: 'relay-response',
} as const

/** What a device sent over a connection. */
export function answerOf(message: AnswerMessage, payload: Uint8Array, from: Endpoint): DeviceAnswer {
  const { socketAddr, id } = message.punchHoleSent ?? message.localAddr ?? message.relayResponse
  return { kind: ANSWER_KINDS[message.union], handle: socketAddr, id: id ?? '', message: payload, from }
}

/** Over UDP only a device that was asked to punch by UDP answers. */
export const datagramAnswer = (sent: rendezvous.PunchHoleSent, message: Uint8Array, from: Endpoint): DeviceAnswer => ({
  ...{ kind: 'udp-punch-hole-sent', handle: sent.socketAddr, id: sent.id, message, from },
})
