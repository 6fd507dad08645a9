import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** What is known of one number: its name, what it means, and where it stands when somebody asks. */
export interface Reading {
  readonly name: string
  readonly help: string
  readonly read: () => number
}

/** The same for one number per value of a label; the values are a closed union, so the series are known beforehand. */
export interface LabelledReading<Value extends string> {
  readonly name: string
  readonly help: string
  readonly label: string
  readonly read: () => Readonly<Record<Value, number>>
}

/** The same for one number per pair of values of two labels, both closed unions. */
export interface GridReading {
  readonly name: string
  readonly help: string
  readonly labels: readonly [string, string]
  readonly read: () => Iterable<readonly [values: readonly [string, string], level: number]>
}

/**
 * The numbers of one process. Those who count keep plain numbers, which are read when they are asked for: counting
 * costs a message nothing.
 */
export interface Metrics {
  readonly registry: Registry
  /** Something that only grows. */
  total(reading: Reading): void
  totals<Value extends string>(reading: LabelledReading<Value>): void
  /** Something that comes and goes. */
  level(reading: Reading): void
  levels<Value extends string>(reading: LabelledReading<Value>): void
  grid(reading: GridReading): void
}

export interface MetricsOptions {
  /** Whether the figures of the process and of Node.js are among them. */
  readonly process?: 'included' | 'left out'
}

export function createMetrics({ process = 'included' }: MetricsOptions = {}): Metrics {
  const registry = new Registry()
  const registers = [registry]
  if (process === 'included') collectDefaultMetrics({ register: registry })
  return {
    registry,
    total({ name, help, read }) {
      new Counter({
        ...{ name, help, registers },
        collect() {
          this.reset()
          this.inc(read())
        },
      })
    },
    totals({ name, help, label, read }) {
      new Counter({
        ...{ name, help, registers, labelNames: [label] },
        collect() {
          this.reset()
          for (const [value, count] of Object.entries<number>(read())) this.inc({ [label]: value }, count)
        },
      })
    },
    level({ name, help, read }) {
      new Gauge({
        ...{ name, help, registers },
        collect() {
          this.set(read())
        },
      })
    },
    levels({ name, help, label, read }) {
      new Gauge({
        ...{ name, help, registers, labelNames: [label] },
        collect() {
          this.reset()
          for (const [value, count] of Object.entries<number>(read())) this.set({ [label]: value }, count)
        },
      })
    },
    grid({ name, help, labels: [one, other], read }) {
      new Gauge({
        ...{ name, help, registers, labelNames: [one, other] },
        collect() {
          this.reset()
          for (const [[a, b], level] of read()) this.set({ [one]: a, [other]: b }, level)
        },
      })
    },
  }
}

/** A count for every value of a closed union, all at zero. */
export const zeroCounts = <const Value extends string>(values: readonly Value[]): Record<Value, number> =>
  // Every value of the union is in the list that the union is made from.
  Object.fromEntries(values.map((value) => [value, 0])) as Record<Value, number>
