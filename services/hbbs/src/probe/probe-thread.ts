/** The thread that probes: what it does is not to be held up by what it measures, nor hold it up. */
import { setTimeout as pause } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { PROBE_TRANSPORTS, type ProbeReport, type ProbeTarget, probeTransport } from './probe-round.ts'

const EVERY_MS = 60_000
/** Relays that are started together with the ID server are there by then. */
const FIRST_AFTER_MS = 5_000

const target = workerData as ProbeTarget

await pause(FIRST_AFTER_MS)
for (;;) {
  const startedMs = performance.now()
  for (const transport of PROBE_TRANSPORTS)
    parentPort?.postMessage((await probeTransport(transport, target)) satisfies ProbeReport)
  await pause(Math.max(0, EVERY_MS - (performance.now() - startedMs)))
}
