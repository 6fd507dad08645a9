import { UsageError } from '../shared-redis.ts'

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 }

/** `30m`, `12h`, `7d`, `4w`. @throws UsageError */
export function durationMs(text: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhdw])$/i.exec(text.trim()) ?? []
  const unitMs = UNITS_MS[unit.toLowerCase()]
  if (unitMs === undefined) throw new UsageError(`${text} is no duration: write 30m, 12h, 7d or 4w`)
  return Number(count) * unitMs
}
