/**
 * A process that puts load on one server and measures what the server spends on it. Started by generator-process.ts,
 * which sends it one job after the other.
 */
import { Fleet } from './fleet.ts'
import { HeartbeatLoad, refreshDevices } from './heartbeats.ts'
import type { GeneratorReply, GeneratorSetup, Job, Measured } from './job.ts'
import { measureWindow, measureWork } from './measure-window.ts'
import { measurePacedHeartbeats } from './paced-heartbeats.ts'
import { PUNCHED_DEVICES_PER_SOURCE, PUNCHED_SOURCES, PunchLoad } from './punches.ts'
import { Registrations } from './registrations.ts'
import { RelayStreams } from './relay-streams.ts'
import { measureRelayedSessions } from './relayed-sessions.ts'
import { measureRoundTrips } from './round-trips.ts'
import { measureSinglePunches } from './single-punches.ts'

const { target, devices, key } = JSON.parse(process.argv[2] ?? '') as GeneratorSetup
const fleet = await Fleet.open(devices, target)

// Whoever started us has gone without stopping anything.
process.on('disconnect', () => {
  for (const pid of target.pids) process.kill(pid)
  process.exit()
})
process.on('message', (job: Job) => {
  perform(job).then(
    (measured) => reply({ kind: 'measured', measured }),
    (error: unknown) => reply({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) }),
  )
})
reply({ kind: 'ready' })

async function perform(job: Job): Promise<Measured> {
  switch (job.kind) {
    case 'registrations': {
      const registrations = new Registrations()
      return measureWork(registrations, target.pids, () => registrations.run(fleet.share(job.share, job.shares)))
    }
    case 'heartbeats':
      return measureWindow(new HeartbeatLoad(fleet.sources), target.pids, job.seconds)
    case 'paced-heartbeats':
      return measurePacedHeartbeats(fleet.sources, target.pids, job)
    case 'punches':
      await refreshPunched()
      return measureWindow(new PunchLoad({ ...job, target, key, sources: fleet.sources }), target.pids, job.seconds)
    case 'single-punches':
      await refreshAll()
      return measureSinglePunches({ ...job, target, key, sources: fleet.sources })
    case 'relayed-sessions':
      await refreshAll()
      return measureRelayedSessions({ ...job, target, key, sources: fleet.sources })
    case 'relay-streams':
      return measureWindow(await RelayStreams.open(target, job), target.pids, job.seconds)
    case 'round-trips':
      return measureRoundTrips(target, job.seconds)
  }
}

/** Devices that were silent for half a minute are not asked. */
function refreshPunched(): Promise<void> {
  return refreshDevices(fleet.sources.slice(0, PUNCHED_SOURCES), PUNCHED_DEVICES_PER_SOURCE)
}

/** Where commands are counted, nobody falls silent meanwhile. */
function refreshAll(): Promise<void> {
  return refreshDevices(fleet.sources, devices)
}

function reply(message: GeneratorReply): void {
  process.send?.(message)
}
