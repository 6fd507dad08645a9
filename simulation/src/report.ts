import { PUNCH_OUTCOMES } from './controllers.ts'
import { type PhaseFigures, RATES, type Rate } from './watch.ts'

const RATE_NAMES: Readonly<Record<Rate, string>> = {
  heartbeats: 'heartbeats/s',
  registrations: 'registrations/s',
  moved: 'changes of address/s',
  redisCommands: 'Redis commands/s',
  linkQuestions: 'questions over links/s',
}

/** What a phase came to, as lines of text. */
export function renderPhase(figures: PhaseFigures): string {
  const { name, seconds, devicesOn, served, mean, peak, recovery, punches } = figures
  const lines = [`${name} (${seconds} s): ${count(devicesOn)} devices on, ${count(served)} of them online at the end`]
  for (const rate of RATES)
    lines.push(
      `  ${RATE_NAMES[rate].padEnd(24)} mean ${count(mean[rate]).padStart(10)}   peak ${count(peak[rate]).padStart(10)}`,
    )
  lines.push(
    `  Redis busy ${percent(figures.redisBusy)} of a core, longest queue ${figures.longestRedisQueueMs} ms; ` +
      `busiest node ${percent(figures.busiestNode)}; receive queues overflowed ${count(figures.receiveQueueOverflows)} times; ` +
      `${count(figures.storeUnavailable)} registrations refused for want of Redis`,
  )
  if (recovery) {
    const times = Object.entries(recovery.seconds).map(([share, s]) => `${percent(Number(share))} after ${s} s`)
    lines.push(`  ${count(recovery.devices)} devices had no node: ${times.join(', ') || 'none is back'}`)
  }
  const asked = PUNCH_OUTCOMES.filter((outcome) => punches[outcome] > 0)
  if (asked.length > 0)
    lines.push(`  controllers: ${asked.map((each) => `${count(punches[each])} ${each}`).join('; ')}`)
  return lines.join('\n')
}

function count(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 })
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1).replace(/\.0$/, '')} %`
}
