import { decodeRendezvous, encodeRendezvous } from '@tryst/protocol'
import type { ClientConnection } from '@tryst/rendezvous'
import { deviceId } from './device-messages.ts'
import type { Fleet } from './fleet.ts'
import type { SeededRandom } from './random.ts'
import type { ServerNode } from './server-node.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A controller asks again after these; then it gives up (docs/protocol.md, times of the client). */
const WAITS_MS = [3_000, 6_000, 9_000] as const
/** A connection to a node, or a message on it. */
const WAY_MS = 20
const ID_NOT_EXIST = 0

export const PUNCH_OUTCOMES = [
  'met',
  'offline, and so it was',
  'offline, though the device was online',
  'unknown, though the device was online',
  'unknown, and so it was',
  'refused for another reason',
  'no answer, the device was not online',
  'no answer, though the device was online',
  'its node died meanwhile',
] as const
export type PunchOutcome = (typeof PUNCH_OUTCOMES)[number]

export interface ControllersWorld {
  readonly time: VirtualTime
  readonly random: SeededRandom
  readonly fleet: Fleet
  /** A node that takes connections; undefined: none. */
  readonly anyNode: () => ServerNode | undefined
}

/** Controllers that ask for devices, and compare what they are told with what is true. */
export class Controllers {
  readonly outcomes = Object.fromEntries(PUNCH_OUTCOMES.map((outcome) => [outcome, 0])) as Record<PunchOutcome, number>
  readonly #world: ControllersWorld
  #serial = 0

  constructor(world: ControllersWorld) {
    this.#world = world
  }

  ask(device: number): void {
    const { anyNode, time, fleet } = this.#world
    const node = anyNode()
    if (!node) return
    const wasOnline = fleet.isOnlineBeyondDoubt(device)
    const serial = this.#serial++
    const request = encodeRendezvous({ punchHoleRequest: { id: deviceId(device), natType: 1, version: '1.4.9' } })
    let isOver = false
    const end = (outcome: PunchOutcome) => {
      if (isOver) return
      isOver = true
      connection.isClosed = true
      node.server.onClose(connection)
      this.outcomes[outcome]++
    }
    const connection: ClientConnection & { isClosed: boolean } = {
      transport: 'tcp',
      remote: { ip: `112.${(serial >>> 16) & 255}.${(serial >>> 8) & 255}.${serial & 255}`, port: 50_000 },
      isClosed: false,
      unsentBytes: 0,
      send: (payload) => {
        const answer = Buffer.from(payload)
        time.after(WAY_MS, () => node.isAlive && end(this.#judge(answer, device, wasOnline)))
      },
      close: () => {},
      destroy: () => {},
      keep: () => {},
    }
    const attempt = (index: number) => {
      if (isOver) return
      if (!node.isAlive) return end('its node died meanwhile')
      const waitMs = WAITS_MS[index]
      if (waitMs === undefined) {
        const isOnline = wasOnline && fleet.isOnlineBeyondDoubt(device)
        return end(isOnline ? 'no answer, though the device was online' : 'no answer, the device was not online')
      }
      node.server.onMessage(connection, request)
      time.after(waitMs, () => attempt(index + 1))
    }
    time.after(WAY_MS, () => attempt(0))
  }

  /** A device was told that a controller wants it: it answers over TCP, by way of any node. */
  punched(device: number, payload: Uint8Array): void {
    const { socketAddr } = decodeRendezvous(payload).punchHole ?? {}
    const node = this.#world.anyNode()
    if (!socketAddr || !node) return
    const { fleet, time } = this.#world
    const answer = encodeRendezvous({
      punchHoleSent: { socketAddr, id: deviceId(device), relayServer: '', natType: 1, version: '1.4.9' },
    })
    const ip = fleet.addresses.text(device, fleet.movesOf(device))
    time.after(WAY_MS, () => {
      if (!node.isAlive) return
      const connection = {
        transport: 'tcp',
        remote: { ip, port: 50_001 },
        isClosed: false,
        unsentBytes: 0,
        send() {},
        close() {},
        destroy() {},
        keep() {},
      } as const
      node.server.onMessage(connection, answer)
    })
  }

  #judge(answer: Uint8Array, device: number, wasOnline: boolean): PunchOutcome {
    const { punchHoleResponse: response } = decodeRendezvous(answer)
    if (!response) return 'refused for another reason'
    if (response.socketAddr && response.socketAddr.length > 0) return 'met'
    const isOnline = wasOnline && this.#world.fleet.isOnlineBeyondDoubt(device)
    if (response.otherFailure && !/offline/i.test(response.otherFailure)) return 'refused for another reason'
    if ((response.failure ?? ID_NOT_EXIST) === ID_NOT_EXIST)
      return isOnline ? 'unknown, though the device was online' : 'unknown, and so it was'
    return isOnline ? 'offline, though the device was online' : 'offline, and so it was'
  }
}
