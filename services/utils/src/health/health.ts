import type { CommandResult } from '../command-result.ts'
import { PROBES } from './probes.ts'
import { type RunningService, runningServices, SERVICE_NAMES } from './running-service.ts'
import { serviceAddress } from './service-address.ts'

/** Docker's own limit for a check is longer in our images, so that the reason can be told. */
const LIMIT_MS = 4_000

/**
 * Checks the services named, or all that run here, by talking to them as clients do. It is run every few seconds, so it
 * loads little and leaves nothing behind.
 */
export async function checkHealth(
  names: readonly string[],
  running: readonly RunningService[] = runningServices(),
): Promise<CommandResult> {
  const unknown = names.find((name) => !SERVICE_NAMES.some((known) => known === name))
  if (unknown !== undefined) {
    return { output: `ERROR: no service is called '${unknown}'; known: ${SERVICE_NAMES.join(', ')}\n`, status: 1 }
  }
  const wanted = names.length === 0 ? running.map(({ name }) => name) : names
  if (wanted.length === 0) return { output: `none of ${SERVICE_NAMES.join(', ')} runs here\n`, status: 1 }
  const lines = await Promise.all(wanted.map((name) => checkOne(name, running)))
  return {
    output: lines.map(({ line }) => `${line}\n`).join(''),
    status: lines.every(({ isHealthy }) => isHealthy) ? 0 : 1,
  }
}

async function checkOne(
  name: string,
  running: readonly RunningService[],
): Promise<{ isHealthy: boolean; line: string }> {
  const service = running.find((candidate) => candidate.name === name)
  if (service === undefined) return { isHealthy: false, line: `${name}: does not run here` }
  let timer: NodeJS.Timeout | undefined
  const over = new AbortController()
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not answer within ${LIMIT_MS / 1000} s`)), LIMIT_MS)
  })
  try {
    await Promise.race([PROBES[service.name](serviceAddress(service), over.signal), tooLate])
    return { isHealthy: true, line: `${name}: healthy` }
  } catch (error) {
    return { isHealthy: false, line: `${name}: ${error instanceof Error ? error.message : String(error)}` }
  } finally {
    clearTimeout(timer)
    over.abort()
  }
}
