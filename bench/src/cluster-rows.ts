import { cpuUsPerUnit, medians, type Round } from './comparison.ts'
import type { Measured } from './job.ts'
import { digits, isUnsound, micros, type Row, ratio } from './rows.ts'

/** What the median unit takes longer than at the baseline, done one by one; behind it what the baseline takes. */
export function durationRow(figure: string, baselineName: string, rounds: readonly Round[]): Row {
  const cpu = medians(rounds, cpuUsPerUnit)
  const p50 = medians(rounds, ({ durations }) => durations?.p50Us ?? Number.NaN)
  return {
    figure,
    cpuPerUnit: micros(cpu.ours),
    rate: `+${micros(p50.ours - p50.baseline)}`,
    baseline: `${micros(cpu.baseline)}, ${micros(p50.baseline)} (${baselineName})`,
    ratio: `${ratio(cpu)} (time ${ratio(p50)})`,
    isUnsound: isUnsound(rounds),
  }
}

/** Commands that nodes sent to Redis, with those that their scripts called in parentheses. */
export function commandsRow(
  figure: string,
  { measured, each, unit, goal }: { measured: Measured; each: number; unit: string; goal?: number },
): Row {
  const { sent = Number.NaN, executed = Number.NaN } = measured.commands ?? {}
  const commands = sent / each
  return {
    figure,
    cpuPerUnit: '-',
    rate: `${digits(commands)}${unit} (${digits(executed / each)}${unit} with scripts' own)`,
    baseline: goal === undefined ? '-' : `${goal}${unit} (at most)`,
    ratio: goal === undefined ? '-' : digits(commands / goal),
    isUnsound: isUnsound([{ ours: measured, baseline: measured }]) || !Number.isFinite(commands),
  }
}
