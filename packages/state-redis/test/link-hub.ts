import type { NodeId } from '@tryst/rendezvous'
import type { LinkAnswers, LinkTarget, NodeLinksPort } from '../src/index.ts'

/** What a hub does with a message between two nodes before it arrives. */
export type Delay = (from: NodeId, to: NodeId, question: keyof NodeLinksPort) => Promise<void>

/** Links between nodes of one process: a question is a function call, unless it is delayed or cut. */
export class LinkHub {
  readonly #nodes = new Map<NodeId, LinkAnswers>()
  readonly #cut = new Set<NodeId>()
  /** Questions that nobody gets while they stay in here. */
  readonly lost = new Set<keyof NodeLinksPort>()
  readonly asked: (keyof NodeLinksPort)[] = []
  delay: Delay = async () => {}

  enter(node: NodeId, answers: LinkAnswers): NodeLinksPort {
    this.#nodes.set(node, answers)
    const ask = async <T>(
      target: LinkTarget,
      question: keyof NodeLinksPort,
      answer: (answers: LinkAnswers) => T | Promise<T>,
    ): Promise<T> => {
      this.asked.push(question)
      await this.delay(node, target.incarnation, question)
      const answers = this.#nodes.get(target.incarnation)
      const isCut = this.#cut.has(node) || this.#cut.has(target.incarnation) || this.lost.has(question)
      if (!answers || isCut) throw new Error(`${target.address} cannot be reached`)
      return answer(answers)
    }
    return {
      push: (target, id, message, attempt) => ask(target, 'push', (answers) => answers.push(id, message, attempt)),
      forget: (target, id, version) => ask(target, 'forget', (answers) => answers.forget(id, version)),
      holds: (target, ids) => ask(target, 'holds', (answers) => answers.holds(ids)),
      answer: (target, deviceAnswer) => ask(target, 'answer', (answers) => answers.answer(deviceAnswer)),
      ticketFor: (target, uuid) => ask(target, 'ticketFor', (answers) => answers.ticketFor(uuid)),
      recall: (target, id) => ask(target, 'recall', (answers) => answers.recall(id)),
      hasStore: (target) => ask(target, 'hasStore', (answers) => answers.hasStore()),
      hasDeviceInNetwork: (target, ip) =>
        ask(target, 'hasDeviceInNetwork', (answers) => answers.hasDeviceInNetwork(ip)),
      dismiss: (target, id) => ask(target, 'dismiss', (answers) => answers.dismiss(id)),
    }
  }

  /** As when the process dies. */
  exit(node: NodeId): void {
    this.#nodes.delete(node)
  }

  cut(node: NodeId): void {
    this.#cut.add(node)
  }

  mend(node: NodeId): void {
    this.#cut.delete(node)
  }
}
