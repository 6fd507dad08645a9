import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'

export type PortProtocol = 'tcp' | 'udp'

export interface PortOwner {
  readonly name: string
  readonly pid: number
}

/** State of a listening TCP socket, and of every UDP socket that is not connected, in /proc/net. */
const WAITING_STATE = { tcp: '0A', udp: '07' } as const

/** Columns of a line of /proc/net/tcp and its like. */
const LOCAL_ADDRESS_COLUMN = 1
const STATE_COLUMN = 3
const INODE_COLUMN = 9

/** Who listens on a port, as far as this user may see it. Linux only; undefined elsewhere. */
export async function findPortOwner(
  port: number,
  protocol: PortProtocol,
  proc = '/proc',
): Promise<PortOwner | undefined> {
  const inodes = new Set<string>()
  for (const table of [protocol, `${protocol}6`]) {
    for (const inode of waitingSockets(await readOrEmpty(`${proc}/net/${table}`), port, protocol)) inodes.add(inode)
  }
  if (inodes.size === 0) return undefined
  for (const entry of await listOrEmpty(proc)) {
    if (!/^\d+$/.test(entry)) continue
    for (const descriptor of await listOrEmpty(`${proc}/${entry}/fd`)) {
      const target = await readlink(`${proc}/${entry}/fd/${descriptor}`).catch(() => '')
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
      if (inode !== undefined && inodes.has(inode)) {
        return { name: await programName(`${proc}/${entry}`), pid: Number(entry) }
      }
    }
  }
  return undefined
}

/** What a person calls the process: the script rather than the Node.js that runs it. */
async function programName(folder: string): Promise<string> {
  const [program = '', ...words] = (await readOrEmpty(`${folder}/cmdline`)).split('\0')
  const script = words.find(
    (word, index) => word !== '' && !word.startsWith('-') && !NODE_FLAGS_WITH_VALUE.has(words[index - 1] ?? ''),
  )
  const isNode = /^node(js)?$/.test(basename(program))
  const name = basename(isNode && script !== undefined ? script : program)
  return name || (await readOrEmpty(`${folder}/comm`)).trim() || 'a program'
}

const NODE_FLAGS_WITH_VALUE = new Set(['-r', '--require', '--import', '-e', '--eval', '-C', '--conditions'])

function waitingSockets(table: string, port: number, protocol: PortProtocol): string[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      (columns) =>
        columns[STATE_COLUMN] === WAITING_STATE[protocol] &&
        Number.parseInt(columns[LOCAL_ADDRESS_COLUMN]?.split(':')[1] ?? '', 16) === port,
    )
    .flatMap((columns) => columns[INODE_COLUMN] ?? [])
}

// Processes end while they are looked at, and other users' are closed to us: both have nothing to say.
const readOrEmpty = (path: string) => readFile(path, 'utf8').catch(() => '')
const listOrEmpty = (path: string) => readdir(path).catch((): string[] => [])
