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

/** Replays every group, each with servers and a network namespace of its own. */
export async function replayAllGroups(): Promise<Difference[]> {
  const { groups } = readVectors<TranscriptFile>('transcripts.json')
  const command = namespaceCommand()
  if (!command) throw new Error('this machine allows no network namespaces')
  const slow = groups.filter(({ concurrent }) => concurrent).map(nameOf)
  const quick = [TAKE_OVER, ...groups.filter(({ concurrent }) => !concurrent).map(nameOf)]
  const found: Difference[] = []
  const replayRest = async (queue: string[]) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      found.push(...withoutOrderOfRelays(await replayGroup(command, next)))
    }
  }
  const lanes = [...slow.map((name) => [name]), ...new Array<string[]>(SIDE_BY_SIDE).fill(quick)]
  await Promise.all(lanes.map(replayRest))
  return found.sort((a, b) => a.group.localeCompare(b.group))
}

const nameOf = ({ name }: Group): string => name

async function replayGroup(command: readonly string[], name: string): Promise<Difference[]> {
  const worker = join(import.meta.dirname, 'group-worker.ts')
  const [program, ...args] = [...command, process.execPath, worker, name]
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
