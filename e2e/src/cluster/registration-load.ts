import { createDeviceIdentity } from '@tryst/client'
import { rendezvous } from '@tryst/protocol'
import type { Cluster } from './cluster.ts'
import { loopbackAddress } from './loopback-address.ts'
import { QuietDevice } from './quiet-device.ts'

const { Result } = rendezvous.RegisterPkResponse

/** The pace of stock devices: a repeat when nothing came within 3 s. */
const REPEAT_MS = 3_000
/** How long after a refusal a device tries again; stock devices wait 15 s, and these are impatient. */
const RETRY_MS = 4_000

/** Of thousands of ids drawn at random now and then two are the same; no two loads on one server have one in common. */
let nextId = 3_000_000_000

/** New devices that register, so many a second, each again and again until it is accepted. */
export class RegistrationLoad {
  readonly devices: QuietDevice[] = []
  /** Ids whose registration was acknowledged. */
  readonly acknowledged = new Set<string>()
  /** Devices that were told that their id is somebody else's; there is no such device here. */
  readonly mismatched = new Set<string>()
  /** How often each other result came. */
  readonly refusals = new Map<number | undefined, number>()
  readonly #tasks = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  readonly #beganMs = performance.now()
  #begun = 0
  #isOver = false

  /** @param perSecond devices @param addresses from which they come, in turn */
  constructor(
    private readonly cluster: Cluster,
    private readonly perSecond: number,
    private readonly addresses: number,
  ) {
    this.#timer = setInterval(() => this.#begin(), 20)
  }

  /** No new devices; those that are not accepted yet go on for a while. */
  async stop(limitMs: number): Promise<void> {
    clearInterval(this.#timer)
    const timer = setTimeout(() => {
      this.#isOver = true
    }, limitMs)
    await Promise.all(this.#tasks)
    clearTimeout(timer)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#isOver = true
    for (const device of this.devices) device.close()
  }

  #begin(): void {
    const due = Math.floor(((performance.now() - this.#beganMs) / 1_000) * this.perSecond)
    for (; this.#begun < due; this.#begun++) {
      const task = this.#register(this.#begun)
      this.#tasks.add(task)
      void task.finally(() => this.#tasks.delete(task))
    }
  }

  async #register(index: number): Promise<void> {
    const identity = { ...createDeviceIdentity(), id: `${nextId++}` }
    const device = await QuietDevice.open(this.cluster.server(), loopbackAddress(index % this.addresses), identity)
    this.devices.push(device)
    while (!this.#isOver) {
      const { result } = await device.register(REPEAT_MS)
      // There are thousands of them: a socket is opened again when there is something to say.
      device.close()
      if (result === Result.OK) {
        this.acknowledged.add(device.id)
        return
      }
      if (result === Result.UUID_MISMATCH) this.mismatched.add(device.id)
      this.refusals.set(result, (this.refusals.get(result) ?? 0) + 1)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}
