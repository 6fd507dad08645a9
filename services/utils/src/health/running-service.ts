import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export const SERVICE_NAMES = ['hbbs', 'hbbr', 'api'] as const
export type ServiceName = (typeof SERVICE_NAMES)[number]

/** What a service was started with, as far as somebody who wants to talk to it has to know. */
export interface RunningService {
  readonly name: ServiceName
  /** Without the program itself. */
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** Its working directory. */
  readonly folder: string
}

/** The services that run on this machine, or in this container; of several of a name the one that was started first. */
export function runningServices(processes = '/proc'): readonly RunningService[] {
  const found = new Map<ServiceName, RunningService>()
  for (const pid of processIds(processes)) {
    const words = attempt(() => readFileSync(`${processes}/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)) ?? []
    const service = serviceOf(words)
    if (service === undefined || found.has(service.name)) continue
    found.set(service.name, {
      ...service,
      // Another user's may not be read; in a container they are also ours.
      env: attempt(() => environmentOf(readFileSync(`${processes}/${pid}/environ`, 'utf8'))) ?? process.env,
      folder: attempt(() => readlinkSync(`${processes}/${pid}/cwd`)) ?? process.cwd(),
    })
  }
  return SERVICE_NAMES.flatMap((name) => found.get(name) ?? [])
}

/** `[emulator of another processor] node [options of node] PATH/hbbs [arguments]` */
function serviceOf(words: readonly string[]): Pick<RunningService, 'name' | 'argv'> | undefined {
  const node = words.findIndex((word) => /(^|\/)node$/.test(word))
  if (node === -1) return undefined
  for (let at = node + 1; at < words.length; at++) {
    const name = SERVICE_NAMES.find((candidate) => words[at]?.endsWith(`/bin/${candidate}`))
    if (name !== undefined) return { name, argv: words.slice(at + 1) }
  }
  return undefined
}

const processIds = (processes: string): readonly number[] =>
  (attempt(() => readdirSync(processes)) ?? [])
    .map(Number)
    .filter(Number.isInteger)
    .sort((a, b) => a - b)

function environmentOf(text: string): NodeJS.ProcessEnv {
  const pairs = text.split('\0').filter((pair) => pair.includes('='))
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}

/** Undefined where a process has ended meanwhile, or is not ours to look into. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
