/**
 * A process that puts load on one server and measures what the server spends on it. Started by generator-process.ts,
 * which sends it one job after the other.
 */
import { Fleet } from './fleet.ts'
import { HeartbeatLoad, refreshDevices } from './heartbeats.ts'
import type { GeneratorReply, GeneratorSetup, Job, Measured } from './job.ts'
import { measureWindow, measureWork } from './measure-window.ts'
import { PUNCHED_DEVICES_PER_SOURCE, PUNCHED_SOURCES, PunchLoad } from './punches.ts'
import { Registrations } from './registrations.ts'
import { RelayStreams } from './relay-streams.ts'
import { measureRoundTrips } from './round-trips.ts'

const { target, devices, key } = JSON.parse(process.argv[2] ?? '') as GeneratorSetup
const fleet = await Fleet.open(devices, target)

// Whoever started us has gone without stopping anything.
process.on('disconnect', () => {
  process.kill(target.pid)
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
      return measureWork(registrations, target.pid, () => registrations.run(fleet.share(job.share, job.shares)))
    }
    case 'heartbeats':
      return measureWindow(new HeartbeatLoad(fleet.sources), target.pid, job.seconds)
    case 'punches': {
      // Devices that were silent for half a minute are not asked.
      await refreshDevices(fleet.sources.slice(0, PUNCHED_SOURCES), PUNCHED_DEVICES_PER_SOURCE)
      const load = new PunchLoad({ target, key, sources: fleet.sources, connections: job.connections })
      return measureWindow(load, target.pid, job.seconds)
    }
    case 'relay-streams':
      return measureWindow(await RelayStreams.open(target, job.sessions), target.pid, job.seconds)
    case 'round-trips':
      return measureRoundTrips(target, job.seconds)
  }
}

function reply(message: GeneratorReply): void {
  process.send?.(message)
}
