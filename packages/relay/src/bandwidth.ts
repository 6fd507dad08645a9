const BITS_PER_MEGABIT = 1024 * 1024

/** Bandwidth as operators set it; "Mb/s" with 1 Mb = 1024 x 1024 bits (docs/configuration.md, bandwidth). */
export interface BandwidthSettings {
  readonly singleMegabits: number
  readonly totalMegabits: number
  readonly limitedMegabits: number
  /** Share of the single bandwidth; what lasts above it for long is slowed down. */
  readonly downgradeThreshold: number
  readonly downgradeStartSeconds: number
}

export const DEFAULT_BANDWIDTH: BandwidthSettings = Object.freeze({
  singleMegabits: 128,
  totalMegabits: 1024,
  limitedMegabits: 32,
  downgradeThreshold: 0.66,
  downgradeStartSeconds: 1800,
})

/** The settings in force, which the console may change while the relay runs. */
export class Bandwidth {
  #singleBits: number
  #totalBits: number
  #limitedBits: number
  #thresholdHundredths: number
  downgradeStartSeconds: number

  constructor(settings: BandwidthSettings) {
    this.#singleBits = Math.trunc(settings.singleMegabits * BITS_PER_MEGABIT)
    this.#totalBits = Math.trunc(settings.totalMegabits * BITS_PER_MEGABIT)
    this.#limitedBits = Math.trunc(settings.limitedMegabits * BITS_PER_MEGABIT)
    this.#thresholdHundredths = Math.trunc(settings.downgradeThreshold * 100)
    this.downgradeStartSeconds = settings.downgradeStartSeconds
  }

  get singleBitsPerSecond(): number {
    return this.#singleBits
  }
  get totalBitsPerSecond(): number {
    return this.#totalBits
  }
  get limitedBitsPerSecond(): number {
    return this.#limitedBits
  }

  get singleMegabits(): number {
    return this.#singleBits / BITS_PER_MEGABIT
  }
  set singleMegabits(value: number) {
    this.#singleBits = Math.trunc(value * BITS_PER_MEGABIT)
  }
  get totalMegabits(): number {
    return this.#totalBits / BITS_PER_MEGABIT
  }
  set totalMegabits(value: number) {
    this.#totalBits = Math.trunc(value * BITS_PER_MEGABIT)
  }
  get limitedMegabits(): number {
    return this.#limitedBits / BITS_PER_MEGABIT
  }
  set limitedMegabits(value: number) {
    this.#limitedBits = Math.trunc(value * BITS_PER_MEGABIT)
  }

  /** Stored in whole hundredths, as the reference does. */
  get downgradeThreshold(): number {
    return this.#thresholdHundredths / 100
  }
  set downgradeThreshold(value: number) {
    this.#thresholdHundredths = Math.trunc(value * 100)
  }

  /** Bits per millisecond of a pair's life above which it is slowed down. */
  get downgradeBitsPerMs(): number {
    return Math.trunc((this.#singleBits * this.#thresholdHundredths) / 100 / 1000)
  }
}
