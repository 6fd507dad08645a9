/**
 * Replays one group and writes the differences to standard output: `group-worker.ts NAME recorded` in a network
 * namespace of its own, or `NAME loopback`.
 */
import { join } from 'node:path'
import { KnownDevices } from './known-devices.ts'
import { loopbackNetwork, recordedNetwork } from './network.ts'
import { Replay } from './replay.ts'
import { Servers } from './servers.ts'
import { compareRows, dataFolder, TAKE_OVER, takeOverGroup } from './take-over.ts'
import type { Difference, TranscriptFile } from './transcript.ts'
import { readVectors, vectorsDir } from './vectors.ts'

const [groupName, addresses] = process.argv.slice(2)
const file = readVectors<TranscriptFile>('transcripts.json')
const isTakeOver = groupName === TAKE_OVER
const group = isTakeOver ? takeOverGroup() : file.groups.find(({ name }) => name === groupName)
if (!group) throw new Error(`there is no group ${groupName}`)

const network = addresses === 'loopback' ? await loopbackNetwork() : recordedNetwork(group)
const servers = new Servers(group, network, file.keys, isTakeOver ? join(vectorsDir, dataFolder) : undefined)
const differences: Difference[] = []
try {
  await servers.start()
  const playable = group.transcripts.filter((transcript) => network.canPlay(group, transcript))
  const devices = new KnownDevices()
  const replays = playable.map((transcript) => new Replay(group.name, transcript, servers, network, devices))
  if (group.concurrent) differences.push(...(await Promise.all(replays.map((replay) => replay.run()))).flat())
  else for (const replay of replays) differences.push(...(await replay.run()))
  await servers.stop()
  if (isTakeOver && addresses !== 'loopback') differences.push(...compareRows(servers.folder))
} finally {
  await servers.stop()
  servers.removeFolder()
}
process.stdout.write(JSON.stringify(differences))
