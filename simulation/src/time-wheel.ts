/** Milliseconds that the wheel holds; what is due later comes by in between. */
const SLOTS = 32_768
const NONE = -1

/** When something is due for each of many devices, one moment each. No memory but a few bytes a device. */
export class TimeWheel {
  readonly #first = new Int32Array(SLOTS).fill(NONE)
  readonly #next: Int32Array
  readonly #dueMs: Uint32Array
  readonly #isWaiting: Uint8Array

  constructor(devices: number) {
    this.#next = new Int32Array(devices)
    this.#dueMs = new Uint32Array(devices)
    this.#isWaiting = new Uint8Array(devices)
  }

  has(device: number): boolean {
    return this.#isWaiting[device] === 1
  }

  add(device: number, dueMs: number): void {
    const slot = dueMs % SLOTS
    this.#dueMs[device] = dueMs
    this.#isWaiting[device] = 1
    this.#next[device] = this.#first[slot] ?? NONE
    this.#first[slot] = device
  }

  /** Everything that is due in this millisecond; to be called for each, in turn. */
  take(nowMs: number, onDue: (device: number) => void): void {
    const slot = nowMs % SLOTS
    let device = this.#first[slot] ?? NONE
    this.#first[slot] = NONE
    while (device !== NONE) {
      const next = this.#next[device] ?? NONE
      const dueMs = this.#dueMs[device] ?? 0
      this.#isWaiting[device] = 0
      if (dueMs > nowMs) this.add(device, dueMs)
      else onDue(device)
      device = next
    }
  }
}
