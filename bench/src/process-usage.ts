import { readdirSync, readFileSync } from 'node:fs'

/** What a process has used so far. */
export interface ProcessUsage {
  /** User and system time of all its threads, in microseconds. */
  readonly cpuUs: number
  readonly rssBytes: number
}

/** Linux counts processor time for programs in hundredths of a second, whatever its timer runs at (USER_HZ). */
const US_PER_TICK = 10_000

/** @throws where there is no /proc, or the process has ended */
export function readUsage(pid: number): ProcessUsage {
  return {
    cpuUs: parseCpuUs(readFileSync(`/proc/${pid}/stat`, 'latin1')),
    rssBytes: parseRssBytes(readFileSync(`/proc/${pid}/status`, 'latin1')),
  }
}

/** User and system time of all of them. */
export function cpuUsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readUsage(pid).cpuUs, 0)
}

/** The process and whatever it has started. */
export function processTree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  )
  return [pid, ...children.flatMap(processTree)]
}

/** From /proc/PID/stat; the program's name in parentheses may itself hold blanks and parentheses. */
export function parseCpuUs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system] = [Number(fields[11]), Number(fields[12])]
  if (!Number.isFinite(user + system)) throw new Error(`/proc/PID/stat is not understood: ${stat}`)
  return (user + system) * US_PER_TICK
}

/** From /proc/PID/status. */
export function parseRssBytes(status: string): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kib === undefined) throw new Error('/proc/PID/status has no VmRSS: the process has ended')
  return Number(kib) * 1024
}
