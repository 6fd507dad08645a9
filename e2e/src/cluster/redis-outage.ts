import type { Controller, Device } from '@tryst/client'
import { rendezvous } from '@tryst/protocol'
import { eachOf } from '../site/pool.ts'
import { waitUntil } from '../site/wait-until.ts'
import { Cluster } from './cluster.ts'
import { loopbackAddress } from './loopback-address.ts'
import { meetOnce, startDevices, startPulse } from './meet.ts'
import type { Pulse } from './pulse.ts'
import { QuietDevice } from './quiet-device.ts'
import { RedisView } from './redis-view.ts'

const { Result } = rendezvous.RegisterPkResponse

const DEVICES = 20
const PULSES_EACH = 3
const MEETINGS_AT_ONCE = 5
export const ANSWERED_WITHIN_MS = 1_000
export const RECOVERED_WITHIN_MS = 10_000

/** Two ID servers behind one address and two relays whose Redis goes away; and what has to hold meanwhile. */
export class RedisOutage {
  /** Those that were refused; what was refused must not happen later. */
  readonly refused = new Set<string>()
  slowestAnswerMs = 0
  #addresses = DEVICES

  private constructor(
    readonly cluster: Cluster,
    readonly devices: readonly Device[],
    readonly pulses: readonly Pulse[],
    private readonly controller: Controller,
  ) {}

  static async start(): Promise<RedisOutage> {
    const cluster = await Cluster.start({ address: 'shared' })
    try {
      await cluster.haveMet()
      const devices = await startDevices(cluster, DEVICES)
      const controller = cluster.controller(0, { localAddress: loopbackAddress(1_000) })
      const pulses: Pulse[] = []
      for (const device of devices.slice(0, PULSES_EACH))
        for (const path of ['direct', 'relay'] as const) pulses.push(await startPulse(controller, device, path))
      const outage = new RedisOutage(cluster, devices, pulses, controller)
      await outage.view((view) =>
        waitUntil(
          'Redis names an owner of each device',
          async () => (await view.ownersByName(outage.ids)).size === DEVICES,
        ),
      )
      return outage
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  get ids(): string[] {
    return this.devices.map(({ id }) => id)
  }

  /** A socket that nobody else has. */
  async quietDevice(identity?: QuietDevice['identity']): Promise<QuietDevice> {
    const device = await QuietDevice.open(this.cluster.server(), loopbackAddress(this.#addresses++), identity)
    return this.cluster.guest(device)
  }

  /** Sessions to all devices, of either kind. @throws Error when one does not come about */
  async meetEverybody(): Promise<void> {
    for (const path of ['direct', 'relay'] as const)
      await eachOf(this.ids, MEETINGS_AT_ONCE, (id) => meetOnce(this.controller, id, path))
  }

  /** A device that nobody knows tries to register. @throws Error when it is not told SERVER_ERROR at once */
  async refuseNewDevice(): Promise<void> {
    const device = await this.quietDevice()
    const { result, tookMs } = await device.register()
    device.close()
    if (result !== Result.SERVER_ERROR)
      throw new Error(`RegisterPk of the new device ${device.id} was answered ${result} after ${tookMs} ms`)
    this.refused.add(device.id)
    this.slowestAnswerMs = Math.max(this.slowestAnswerMs, tookMs)
  }

  /** @throws Error unless every node says so */
  async everybodySays(what: 'livez' | 'readyz'): Promise<void> {
    for (const node of [...this.cluster.hbbs, ...this.cluster.hbbr])
      if (!(await node.says(what))) throw new Error(`${node.name} does not answer 200 to /${what}`)
  }

  /** A device that nobody knows is accepted. @returns after how long */
  async newDeviceIsAccepted(): Promise<number> {
    const beganMs = performance.now()
    return waitUntil(
      'a new device is accepted',
      async () => {
        const device = await this.quietDevice()
        const { result } = await device.register(ANSWERED_WITHIN_MS)
        device.close()
        return result === Result.OK && performance.now() - beganMs
      },
      RECOVERED_WITHIN_MS,
    )
  }

  /** Redis has these devices and names a living owner of each. @returns after how long */
  async isKnownToRedis(ids: readonly string[] = this.ids): Promise<number> {
    const beganMs = performance.now()
    return this.view((view) =>
      waitUntil(
        'Redis has all devices and their owners',
        async () => {
          const [identities, owners] = await Promise.all([view.identities(), view.ownersByName(ids)])
          return ids.every((id) => identities.has(id) && owners.has(id)) && performance.now() - beganMs
        },
        RECOVERED_WITHIN_MS,
      ),
    )
  }

  /** Those that were refused and stand in Redis all the same. */
  refusedButStored(): Promise<string[]> {
    return this.view(async (view) => {
      const [identities, owners] = await Promise.all([view.identities(), view.owners(this.refused)])
      return [...this.refused].filter((id) => identities.has(id) || owners.has(id))
    })
  }

  async view<T>(look: (view: RedisView) => Promise<T>): Promise<T> {
    const view = await RedisView.open(this.cluster.redis.port)
    try {
      return await look(view)
    } finally {
      view.close()
    }
  }

  /** Ends the sessions that ran all the time. @returns the longest round trip, ms @throws Error when one broke */
  async stopPulses(): Promise<number> {
    return Math.max(...(await Promise.all(this.pulses.map((pulse) => pulse.stop()))))
  }

  close(): Promise<void> {
    return this.cluster.close()
  }
}
