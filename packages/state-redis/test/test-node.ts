import type { DeviceAnswer, LocalNode, PeerId, PushOutcome } from '@tryst/rendezvous'
import { NodeAnswers, RedisCluster, RedisConnection, RedisNode, type RedisSettings } from '../src/index.ts'
import type { LinkHub } from './link-hub.ts'

/** An ID server's share in the cluster, whose devices are what a test says. */
export class TestNode implements LocalNode {
  readonly forgotten: PeerId[] = []
  readonly answers: DeviceAnswer[] = []
  readonly tickets = new Map<string, PeerId>()
  readonly #devices = new Map<PeerId, string>()

  constructor(
    readonly hub: LinkHub,
    readonly connection: RedisConnection,
    readonly node: RedisNode,
    readonly cluster: RedisCluster,
  ) {}

  static async open(hub: LinkHub, settings: RedisSettings, { name = 'n', sweepMs = 590_000 } = {}): Promise<TestNode> {
    const connection = await RedisConnection.open(settings)
    const node = new RedisNode(connection, { role: 'id-server', name, address: `${name}:1`, version: '1' })
    const answers = new NodeAnswers()
    const links = hub.enter(node.incarnation, answers)
    const cluster = new RedisCluster({ connection, node, links, answers, sweepMs })
    return new TestNode(hub, connection, node, cluster)
  }

  static async join(hub: LinkHub, settings: RedisSettings, options: { name?: string; sweepMs?: number } = {}) {
    const opened = await TestNode.open(hub, settings, options)
    await opened.cluster.join(opened)
    return opened
  }

  /** The device is heard here and the others are told. */
  async hear(id: PeerId, ip: string, via?: string): Promise<void> {
    this.#devices.set(id, ip)
    await this.cluster.claim(id, ip, via)
  }

  took(): void {}

  async lose(id: PeerId, via?: string): Promise<void> {
    this.#devices.delete(id)
    await this.cluster.release(id, via)
  }

  /** As when the process is killed. */
  kill(): void {
    this.hub.exit(this.node.incarnation)
    this.connection.close()
  }

  async leave(): Promise<void> {
    await this.cluster.leave()
    this.kill()
  }

  async locate(id: PeerId) {
    const [location] = await this.cluster.locate([id])
    return location
  }

  holds(id: PeerId): string | undefined {
    return this.#devices.get(id)
  }

  *devices(): Iterable<{ id: PeerId; ip: string }> {
    for (const [id, ip] of this.#devices) yield { id, ip }
  }

  forget(id: PeerId): void {
    this.#devices.delete(id)
    this.forgotten.push(id)
  }

  push(id: PeerId): PushOutcome {
    return this.#devices.has(id) ? 'pushed' : 'not-mine'
  }

  async answer(answer: DeviceAnswer): Promise<boolean> {
    this.answers.push(answer)
    return true
  }

  hasDeviceInNetwork(ip: string): boolean {
    return [...this.#devices.values()].includes(ip)
  }

  dismiss(id: PeerId): void {
    this.#devices.delete(id)
  }

  ticketFor(uuid: string): PeerId | undefined {
    return this.tickets.get(uuid)
  }
}
