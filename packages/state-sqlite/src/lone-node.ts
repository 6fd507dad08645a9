import type { Cluster, Location, PeerId, PushOutcome } from '@tryst/rendezvous'

/** The cluster of a server that is the only one: there is nobody to ask and nothing to remember. */
export class LoneNode implements Cluster {
  readonly isAlone = true
  readonly isCutOff = false

  async join(): Promise<void> {}

  async claim(): Promise<void> {}

  async release(): Promise<void> {}

  async locate(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]> {
    return ids.map(() => undefined)
  }

  async push(): Promise<PushOutcome> {
    return 'not-mine'
  }

  awaitAnswers(): undefined {
    return undefined
  }

  async dismiss(): Promise<void> {}

  async hasDeviceInNetwork(): Promise<boolean> {
    return false
  }

  async answer(): Promise<boolean> {
    return false
  }

  async retire(): Promise<void> {}

  async leave(): Promise<void> {}
}
