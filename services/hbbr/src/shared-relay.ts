import type { Duplex } from 'node:stream'
import { decodeBase64 } from '@tryst/protocol'
import {
  type HbbrConfig,
  type HostAndPort,
  type LoadedKeyPair,
  type Logger,
  nodeLabel,
  packageVersion,
  workerSiblings,
} from '@tryst/service'
import { redisSettings, SharedNode } from '@tryst/shared-node'
import { RedisRelayAnnouncer, RedisSessions } from '@tryst/state-redis'
import { Announcement } from './announcement.ts'
import { capacityBitsPerSecond } from './capacity.ts'
import type { Hbbr, JoinRequest, RelayOffers } from './hbbr.ts'
import { LastOffers } from './last-offers.ts'
import { SharedBroker } from './shared-broker.ts'
import { SiblingRelays } from './sibling-relays.ts'

/** Clients add it where a relay is named without a port. */
const DEFAULT_PORT = 21_117

/** This relay as one of several that share their sessions. */
export class SharedRelay {
  readonly broker: SharedBroker
  #hbbr: Hbbr | undefined
  #announcement: Announcement | undefined
  readonly #lastOffers: LastOffers

  private constructor(
    readonly node: SharedNode,
    private readonly sessions: RedisSessions,
    private readonly config: HbbrConfig,
    private readonly log: Logger,
    private readonly siblings: SiblingRelays | undefined,
  ) {
    const { connection } = node
    this.#lastOffers = new LastOffers(node.node, {
      redisMs: () => connection.nowMs(),
      ownMs: () => performance.now(),
    })
    node.node.onTurn(() => this.#lastOffers.look())
    this.broker = new SharedBroker(sessions, node.links, node.node, siblings)
  }

  /**
   * Undefined where the settings name no Redis.
   *
   * @throws SharedStateError
   */
  static async open(config: HbbrConfig, keys: LoadedKeyPair, log: Logger): Promise<SharedRelay | undefined> {
    const redis = redisSettings(config)
    if (!redis) return undefined
    const { secretKey, publicKey } = keys
    const publicBytes = decodeBase64(publicKey ?? '')
    if (!secretKey || !publicBytes) throw new Error('nodes that share their state have a key pair')
    let relay: SharedRelay | undefined
    const node = await SharedNode.open({
      ...{ role: 'relay', config, redis, secretKey, publicKey: publicBytes, version: packageVersion, log },
      onStream: (opening, stream) => relay?.join(opening, stream) ?? false,
    })
    const { connection, links } = node
    const requiresTickets = config.requireTicket ?? true
    const sessions = new RedisSessions({ connection, node: node.node, links, requiresTickets })
    const workers = workerSiblings()
    relay = new SharedRelay(node, sessions, config, log, workers && new SiblingRelays(workers))
    return relay
  }

  /** A half that waits here takes a stream from another relay. False: it does not wait here (any more). */
  join(opening: JoinRequest, stream: Duplex): boolean {
    return this.#hbbr?.join(opening, stream) ?? false
  }

  /** What makes clients come here. */
  get offers(): RelayOffers {
    return {
      withdraw: async () => {
        if (!this.#announcement) return
        await this.#announcement.withdraw()
        this.#lastOffers.withdrawn()
      },
      mayCome: (withinMs) => this.#lastOffers.mayCome(withinMs),
    }
  }

  /** Takes part from now on. */
  async start(hbbr: Hbbr): Promise<void> {
    this.#hbbr = hbbr
    this.siblings?.receive((half) => hbbr.takeOver(half))
    this.node.answers.attach({ hasStore: () => this.node.connection.state === 'up' && this.node.node.hasLease })
    await this.node.node.start()
    const address = publicAddress(this.config, hbbr.ports.tcp)
    if (address === undefined) {
      this.log.warn('this relay is not announced to ID servers: set RELAY_PUBLIC_ADDRESS or PUBLIC_HOST')
      return
    }
    const identity = {
      address,
      name: nodeLabel(this.config),
      region: this.config.relayRegion,
      capacityBitsPerSecond: capacityBitsPerSecond(this.config.relayCapacityMegabits, hbbr.relay.bandwidth),
    }
    this.#announcement = Announcement.start(new RedisRelayAnnouncer(this.node.node), () => hbbr.describe(identity))
    this.log.info({ address }, 'announced to ID servers')
  }

  /** After the relay itself. May be called twice. */
  async close(): Promise<void> {
    await this.#announcement?.withdraw().catch(() => {}) // It lapses by itself.
    await this.sessions.settled()
    this.sessions.close()
    this.node.answers.detach()
    await this.node.close()
  }
}

/** What clients are told, with its port. */
function publicAddress(config: HbbrConfig, tcpPort: number): string | undefined {
  const { relayPublicAddress: address, publicHost } = config
  if (address) return format({ host: address.host, port: address.port ?? DEFAULT_PORT })
  return publicHost === undefined ? undefined : format({ host: publicHost, port: tcpPort })
}

const format = ({ host, port }: HostAndPort) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
