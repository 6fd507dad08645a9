import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { namespaceCommand } from './network.ts'
import { TAKE_OVER } from './take-over.ts'
import type { Difference, Group, TranscriptFile } from './transcript.ts'
import { readVectors } from './vectors.ts'

/** How many groups run side by side; the slow ones only wait, so they come on top and first. */
const SIDE_BY_SIDE = 4

export type Addresses = 'recorded' | 'loopback'

/**
 * Replays every group with servers of its own: in network namespaces with the recorded addresses where the machine
 * allows it, else on loopback addresses, where some exchanges cannot be played.
 */
export async function replayAllGroups(
  wanted?: Addresses,
): Promise<{ differences: Difference[]; addresses: Addresses }> {
  const { groups } = readVectors<TranscriptFile>('transcripts.json')
  const command = wanted === 'loopback' ? undefined : namespaceCommand()
  const addresses = command ? 'recorded' : 'loopback'
  const slow = groups.filter(({ concurrent }) => concurrent).map(nameOf)
  const quick = [TAKE_OVER, ...groups.filter(({ concurrent }) => !concurrent).map(nameOf)]
  const found: Difference[] = []
  const replayRest = async (queue: string[]) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      found.push(...withoutOrderOfRelays(await replayGroup(command ?? [], next, addresses)))
    }
  }
  const lanes = [...slow.map((name) => [name]), ...new Array<string[]>(SIDE_BY_SIDE).fill(quick)]
  await Promise.all(lanes.map(replayRest))
  return { differences: found.sort((a, b) => a.group.localeCompare(b.group)), addresses }
}

const nameOf = ({ name }: Group): string => name

async function replayGroup(command: readonly string[], name: string, addresses: Addresses): Promise<Difference[]> {
  const worker = join(import.meta.dirname, 'group-worker.ts')
  const [program, ...args] = [...command, process.execPath, worker, name, addresses]
  const child = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  if (code !== 0) throw new Error(`the group ${name} could not be replayed: ${errors}`)
  return JSON.parse(output) as Difference[]
}

/** Live relays are used in the order in which they answered, which is chance: the two may be exchanged throughout. */
function withoutOrderOfRelays(differences: Difference[]): Difference[] {
  const [first, second] = ['198.51.100.1:24417', '198.51.100.1:24419'] as const
  const exchange = (text: string) => text.replaceAll(first, '?').replaceAll(second, first).replaceAll('?', second)
  const isExchanged =
    differences.length > 0 && differences.every(({ reference, found }) => exchange(found) === reference)
  return isExchanged ? [] : differences
}
