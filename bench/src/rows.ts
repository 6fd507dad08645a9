import { type Compared, cpuUsPerUnit, medians, type Round, unitsPerSecond } from './comparison.ts'
import type { Measured, RoundTrips } from './job.ts'

/** One line of the result. */
export interface Row {
  readonly figure: string
  readonly cpuPerUnit: string
  readonly rate: string
  readonly baseline: string
  readonly ratio: string
  /** Answers were wrong, or more than one in a hundred was lost: the figure means nothing. */
  readonly isUnsound: boolean
}

const BYTES_PER_GB = 1e9
const MAX_LOST_SHARE = 0.01

/** Requests or registrations: microseconds each and how many a second. */
export function requestRow(figure: string, baselineName: string, rounds: readonly Round[]): Row {
  return rateRow(figure, baselineName, rounds, {
    cpu: { value: cpuUsPerUnit, text: micros },
    rate: { value: unitsPerSecond, text: perSecond },
  })
}

/** Relayed bytes: seconds for a gigabyte and gigabits a second. */
export function streamRow(figure: string, baselineName: string, rounds: readonly Round[]): Row {
  return rateRow(figure, baselineName, rounds, {
    cpu: {
      value: (measured) => (cpuUsPerUnit(measured) * BYTES_PER_GB) / 1e6,
      text: (value) => `${digits(value)} s/GB`,
    },
    rate: { value: (measured) => (unitsPerSecond(measured) * 8) / 1e9, text: (value) => `${digits(value)} Gbit/s` },
  })
}

/**
 * What a relay adds to a round trip: in the middle, and at the slowest of a hundred. Both over the ordinary trip without
 * a relay: the slowest of those tell of the machine's other work only.
 */
export function roundTripRows(baselineName: string, rounds: readonly Round[]): Row[] {
  const cpu = medians(rounds, cpuUsPerUnit)
  const added = (figure: string, value: (trips: RoundTrips) => number): Row => {
    const compared = medians(rounds, ({ roundTrips }) => (roundTrips ? value(roundTrips) : Number.NaN))
    return {
      figure,
      cpuPerUnit: micros(cpu.ours),
      rate: `+${micros(compared.ours)}`,
      baseline: `${micros(cpu.baseline)}, +${micros(compared.baseline)} (${baselineName})`,
      ratio: `${ratio(cpu)} (time ${ratio(compared)})`,
      isUnsound: isUnsound(rounds),
    }
  }
  return [
    added('round trip, added p50', ({ p50Us, directP50Us }) => p50Us - directP50Us),
    added('round trip, added p99', ({ p99Us, directP50Us }) => p99Us - directP50Us),
  ]
}

/** Memory for each registered device. */
export function memoryRow(baselineName: string, bytesEach: { ours: number; baseline: number }): Row {
  return {
    figure: 'RSS per registered device',
    cpuPerUnit: '-',
    rate: `${digits(bytesEach.ours)} B`,
    baseline: `${digits(bytesEach.baseline)} B (${baselineName})`,
    ratio: digits(bytesEach.ours / bytesEach.baseline),
    isUnsound: false,
  }
}

interface Figure {
  readonly value: (measured: Measured) => number
  readonly text: (value: number) => string
}

function rateRow(
  figure: string,
  baselineName: string,
  rounds: readonly Round[],
  { cpu, rate }: { cpu: Figure; rate: Figure },
): Row {
  const cpus = medians(rounds, cpu.value)
  const rates = medians(rounds, rate.value)
  return {
    figure,
    cpuPerUnit: cpu.text(cpus.ours),
    rate: rate.text(rates.ours),
    baseline: `${cpu.text(cpus.baseline)}, ${rate.text(rates.baseline)} (${baselineName})`,
    ratio: `${ratio(cpus)} (rate ${ratio(rates)})`,
    isUnsound: isUnsound(rounds),
  }
}

export function isUnsound(rounds: readonly Round[]): boolean {
  return rounds
    .flatMap(({ ours, baseline }) => [ours, baseline])
    .some(({ units, wrong, lost }) => units === 0 || wrong > 0 || lost > units * MAX_LOST_SHARE)
}

export const ratio = (compared: Compared) => digits(compared.ratio)
export const micros = (value: number) => `${digits(value)} µs`
const perSecond = (value: number) => (value < 1000 ? `${digits(value)} /s` : `${digits(value / 1000)} k/s`)

/** Three digits that count, as far as the point. */
export function digits(value: number): string {
  const size = Math.abs(value)
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}
