import { check, type Verdict } from '../check.ts'
import { doubtful, fine, wrong } from '../finding.ts'
import { getOverHttp } from '../probes/http.ts'
import { apiUrlOf } from '../target.ts'

export interface ClockFacts {
  /** Undefined: nothing tells the server's time. */
  readonly clockAheadMs: number | undefined
  readonly url: string
  readonly ourTime: string
}

const DOUBTFUL_MS = 60_000
const WRONG_MS = 300_000

/** The server's clock against ours: a header of its API or its reverse proxy tells. */
export const clock = check<ClockFacts>({
  name: 'clock',
  needs: ['host'],
  probe: async ({ target, ip }) => {
    const urls = [`${apiUrlOf(target, ip)}/`]
    if (target.proxy) urls.push(`https://${target.proxy.host}:${target.proxy.port ?? 443}/`)
    const ourTime = new Date().toISOString()
    for (const url of urls) {
      const answer = await getOverHttp(url, target.limitMs)
      if (answer?.clockAheadMs !== undefined) return { clockAheadMs: answer.clockAheadMs, url, ourTime }
    }
    return { clockAheadMs: undefined, url: urls.join(', '), ourTime }
  },
  judge: judgeClock,
})

export function judgeClock({ clockAheadMs, url, ourTime }: ClockFacts): Verdict {
  if (clockAheadMs === undefined) return { findings: [] }
  const seconds = Math.round(Math.abs(clockAheadMs) / 1_000)
  const direction = clockAheadMs > 0 ? 'ahead of' : 'behind'
  const evidence = `the Date of ${url} against ${ourTime} here`
  if (Math.abs(clockAheadMs) < DOUBTFUL_MS) return { findings: [fine('the clocks agree', evidence)] }
  const find = Math.abs(clockAheadMs) < WRONG_MS ? doubtful : wrong
  const what = `the server's clock is ${seconds} s ${direction} this machine's`
  const remedy =
    'set the wrong one of the two, and keep both right with NTP: certificates and tokens lapse by the clock'
  return { findings: [find('clock-off', what, evidence, remedy)] }
}
