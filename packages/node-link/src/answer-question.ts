import { type Answer, asPeerId, decodeDeviceAnswer, encodePushOutcome } from './frames.ts'
import type { link } from './generated/link.js'
import type { NodeQuestions } from './node-questions.ts'

const DONE: Answer = { done: {} }
const FAILED: Answer = { failed: {} }
const NOT_UNDERSTOOD: Answer = { notUnderstood: {} }

/** What this node answers; a promise only where finding out takes a while. Never throws or rejects. */
export function answerQuestion(frame: link.Frame.$Properties, node: NodeQuestions): Answer | Promise<Answer> {
  try {
    return answerKnown(frame, node)
  } catch {
    return FAILED
  }
}

function answerKnown(frame: link.Frame.$Properties, node: NodeQuestions): Answer | Promise<Answer> {
  if (frame.push) {
    const { id, message, attempt } = frame.push
    const outcome = node.push(asPeerId(id ?? ''), message ?? new Uint8Array(0), attempt ?? undefined)
    return { pushed: { outcome: encodePushOutcome(outcome) } }
  }
  if (frame.forget) {
    node.forget(asPeerId(frame.forget.id ?? ''), frame.forget.version ?? 0)
    return DONE
  }
  if (frame.holds) {
    return { heardFrom: { ips: node.holds((frame.holds.ids ?? []).map(asPeerId)).map((ip) => ip ?? '') } }
  }
  if (frame.deviceAnswer) {
    const answer = decodeDeviceAnswer(frame.deviceAnswer)
    if (!answer) return NOT_UNDERSTOOD
    return node.answer(answer).then(
      (yes) => ({ yesNo: { yes } }),
      () => FAILED,
    )
  }
  if (frame.ticketFor) return { ticket: { device: node.ticketFor(frame.ticketFor.uuid ?? '') ?? '' } }
  if (frame.hasStore) return { yesNo: { yes: node.hasStore() } }
  if (frame.identityOf) return { identity: node.recall(asPeerId(frame.identityOf.id ?? '')) ?? {} }
  if (frame.hasDevice) return { yesNo: { yes: node.hasDeviceInNetwork(frame.hasDevice.ip ?? '') } }
  if (frame.dismiss) {
    node.dismiss(asPeerId(frame.dismiss.id ?? ''))
    return DONE
  }
  if (frame.alive) return DONE
  return NOT_UNDERSTOOD
}
