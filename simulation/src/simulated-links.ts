import type { NodeId } from '@tryst/rendezvous'
import type { LinkAnswers, LinkTarget, NodeLinksPort } from '@tryst/state-redis'
import type { VirtualTime } from './virtual-time.ts'

/** As real links do it: a question is answered within that, or has failed. */
const ANSWER_WITHIN_MS = 200

/** A node as it can be asked. */
interface Reachable {
  readonly answers: LinkAnswers
  readonly region: number
}

/** The links between nodes: questions take the time of the network, and nobody answers for a node that is gone. */
export class SimulatedLinks {
  readonly #nodes = new Map<NodeId, Reachable>()
  readonly #time: VirtualTime
  readonly #latencyMs: (from: number, to: number) => number
  /** Questions that were asked; each has one answer. */
  questions = 0

  constructor(time: VirtualTime, latencyMs: (from: number, to: number) => number) {
    this.#time = time
    this.#latencyMs = latencyMs
  }

  enter(node: NodeId, reachable: Reachable): NodeLinksPort {
    this.#nodes.set(node, reachable)
    const ask = <T>(target: LinkTarget, answer: (answers: LinkAnswers) => T | Promise<T>): Promise<T> =>
      this.#ask(node, reachable.region, target, answer)
    return {
      push: (target, id, message) => ask(target, (answers) => answers.push(id, message)),
      forget: (target, id, version) => ask(target, (answers) => answers.forget(id, version)),
      holds: (target, ids) => ask(target, (answers) => answers.holds(ids)),
      answer: (target, answer) => ask(target, (answers) => answers.answer(answer)),
      ticketFor: (target, uuid) => ask(target, (answers) => answers.ticketFor(uuid)),
      hasStore: (target) => ask(target, (answers) => answers.hasStore()),
      hasDeviceInNetwork: (target, ip) => ask(target, (answers) => answers.hasDeviceInNetwork(ip)),
      dismiss: (target, id) => ask(target, (answers) => answers.dismiss(id)),
      recall: (target, id) => ask(target, (answers) => answers.recall(id)),
    }
  }

  exit(node: NodeId): void {
    this.#nodes.delete(node)
  }

  #ask<T>(
    from: NodeId,
    fromRegion: number,
    { incarnation, address }: LinkTarget,
    answer: (answers: LinkAnswers) => T | Promise<T>,
  ): Promise<T> {
    this.questions++
    return new Promise((resolve, reject) => {
      const target = this.#nodes.get(incarnation)
      const fail = () => reject(new Error(`${address} did not answer`))
      if (!target) return void this.#time.after(ANSWER_WITHIN_MS, fail)
      const latencyMs = this.#latencyMs(fromRegion, target.region)
      this.#time.after(latencyMs, async () => {
        if (!this.#nodes.has(incarnation)) return void this.#time.after(ANSWER_WITHIN_MS - latencyMs, fail)
        const answered = await answer(target.answers)
        this.#time.after(latencyMs, () => this.#nodes.has(from) && resolve(answered))
      })
    })
  }
}
