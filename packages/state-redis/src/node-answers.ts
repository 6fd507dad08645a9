import type { DeviceAnswer, LocalNode, PeerId, PushOutcome } from '@tryst/rendezvous'
import type { LinkAnswers } from './node-links-port.ts'

/** What stands behind the answers of a node that takes part. */
export interface AnswerSources {
  readonly local?: LocalNode
  readonly hasStore: () => boolean
  readonly forget?: (id: PeerId, version: number) => void
}

/** Answers other nodes' questions; before the node takes part, and after it has left, it has nothing. */
export class NodeAnswers implements LinkAnswers {
  #sources: AnswerSources | undefined

  attach(sources: AnswerSources): void {
    this.#sources = sources
  }

  detach(): void {
    this.#sources = undefined
  }

  /** What this node remembers of devices, whether or not it takes part. */
  recall: LinkAnswers['recall'] = () => undefined

  push(id: PeerId, message: Uint8Array, attempt?: number): PushOutcome {
    return this.#sources?.local?.push(id, message, attempt) ?? 'not-mine'
  }

  forget(id: PeerId, version: number): void {
    this.#sources?.forget?.(id, version)
  }

  holds(ids: readonly PeerId[]): readonly (string | undefined)[] {
    return ids.map((id) => this.#sources?.local?.holds(id))
  }

  async answer(answer: DeviceAnswer): Promise<boolean> {
    return (await this.#sources?.local?.answer(answer)) ?? false
  }

  ticketFor(uuid: string): string | undefined {
    return this.#sources?.local?.ticketFor(uuid)
  }

  hasDeviceInNetwork(ip: string): boolean {
    return this.#sources?.local?.hasDeviceInNetwork(ip) ?? false
  }

  dismiss(id: PeerId): void {
    this.#sources?.local?.dismiss(id)
  }

  hasStore(): boolean {
    return this.#sources?.hasStore() ?? false
  }
}
