import type { Cluster, DeviceAnswer, LocalNode, Location, PushOutcome } from '../src/cluster.ts'
import { StoreUnavailableError } from '../src/identity-store.ts'
import type { NodeId, PeerId } from '../src/peer-identity.ts'
import type { RelayTickets } from '../src/relay-tickets.ts'

/** A failure to ask; nobody minds when a test does not come to it. */
export function away<T>(): Promise<T> {
  const promise = Promise.reject<T>(new StoreUnavailableError('nobody can be asked'))
  promise.catch(() => undefined)
  return promise
}

/** The other nodes, as a test scripts them; everything that is asked of them is noted in order. */
export class TestCluster implements Cluster {
  isAlone = false
  isCutOff = false
  local: LocalNode | undefined
  readonly asked: string[] = []
  readonly pushed: Uint8Array[] = []
  /** Where the device is, look-up by look-up; the last holds on. */
  locations: (Location | undefined | Promise<Location | undefined>)[] = [undefined]
  outcomes: (PushOutcome | Promise<PushOutcome>)[] = ['pushed']
  announcing: Promise<void> | undefined
  claiming: Promise<void> = Promise.resolve()

  async join(local: LocalNode) {
    this.local = local
  }

  claim(id: PeerId, ip: string, via?: string) {
    this.asked.push(`claim ${id} ${ip}${via === undefined ? '' : ` via ${via}`}`)
    return this.claiming
  }

  async release(id: PeerId, via?: string) {
    this.asked.push(`release ${id}${via === undefined ? '' : ` via ${via}`}`)
  }

  async locate(ids: readonly PeerId[]) {
    this.asked.push(`locate ${ids.join()}`)
    const location = await (this.locations.length > 1 ? this.locations.shift() : this.locations[0])
    return ids.map(() => location)
  }

  async push(node: NodeId, id: PeerId, message: Uint8Array) {
    this.asked.push(`push ${id} at ${node}`)
    this.pushed.push(message)
    return (this.outcomes.length > 1 ? this.outcomes.shift() : this.outcomes[0]) ?? 'not-mine'
  }

  awaitAnswers(initiatorIp: string) {
    this.asked.push(`awaitAnswers ${initiatorIp}`)
    return this.announcing
  }

  async dismiss(id: PeerId) {
    this.asked.push(`dismiss ${id}`)
  }

  devicesElsewhere = new Set<string>()

  async hasDeviceInNetwork(ip: string) {
    this.asked.push(`hasDeviceInNetwork ${ip}`)
    return this.devicesElsewhere.has(ip)
  }

  async answer(_: DeviceAnswer) {
    this.asked.push('answer')
    return false
  }

  async retire() {
    this.asked.push('retire')
  }

  async leave() {}
}

/** Tickets that are written when the test says so. */
export class TestTickets implements RelayTickets {
  readonly issued: string[] = []
  writing: Promise<void> | undefined = Promise.resolve()

  issue(uuid: string, device: PeerId) {
    this.issued.push(`${uuid} for ${device}`)
    return this.writing
  }
}

export const at = (node: string, ip = '203.0.113.9'): Location => ({ node: node as NodeId, ip })
