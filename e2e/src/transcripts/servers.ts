import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ServerProcess } from './server-process.ts'
import type { Group, PortRole, TranscriptFile } from './transcript.ts'

const services = resolve(import.meta.dirname, '../../../services')
/** Other programs can be put in the place of ours, to test the replay itself. */
export const programs = {
  hbbs: process.env.HBBS_BIN ?? join(services, 'hbbs/bin/hbbs'),
  hbbr: process.env.HBBR_BIN ?? join(services, 'hbbr/bin/hbbr'),
} as const

const MAIN_PORT = 21116

/** The servers of one group, in a folder of their own. */
export class Servers {
  readonly folder = mkdtempSync(join(tmpdir(), 'tryst-transcripts-'))
  readonly ports: Readonly<Record<PortRole, number>>
  readonly #processes: ServerProcess[]

  /** @param dataFolder to begin with a copy of; else the recorded keys, unless the group goes without */
  constructor(group: Group, keys: TranscriptFile['keys'], dataFolder?: string) {
    const { hbbs, hbbr, env = {}, files = {}, keyFiles } = group.options
    const relay = hbbr ? announcedRelayPort(hbbs) : 21117
    this.ports = { main: MAIN_PORT, nat: MAIN_PORT - 1, ws: MAIN_PORT + 2, relay, relayWs: relay + 2 }
    if (dataFolder) this.#copy(dataFolder)
    else if (keyFiles === undefined) {
      this.#write('id_ed25519', keys.serverSecretText)
      this.#write('id_ed25519.pub', keys.serverPublicText)
    }
    for (const [name, text] of Object.entries(files)) this.#write(name, text)
    const environment = { ...env, ...environmentOf(group) }
    const { main, nat, ws } = this.ports
    const common = { folder: this.folder, env: environment }
    const idServer = { program: programs.hbbs, tcpPorts: [main, nat, ws], udpPorts: [main] }
    const relayServer = { program: programs.hbbr, tcpPorts: [relay, relay + 2], udpPorts: [] }
    this.#processes = [
      ...(hbbr ? [new ServerProcess({ ...common, ...relayServer, args: [...hbbr, '-p', `${relay}`] })] : []),
      ...(hbbs ? [new ServerProcess({ ...common, ...idServer, args: [...hbbs, '-p', `${main}`] })] : []),
    ]
  }

  async start(): Promise<void> {
    for (const each of this.#processes) await each.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.stop()))
  }

  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
  }

  #copy(dataFolder: string): void {
    cpSync(dataFolder, this.folder, { recursive: true })
    for (const name of readdirSync(this.folder)) chmodSync(join(this.folder, name), 0o600)
  }
}

/** The relay listens where the ID server announces it. */
function announcedRelayPort(hbbs: readonly string[] = []): number {
  const relays = hbbs[hbbs.indexOf('-r') + 1] ?? ''
  return hbbs.includes('-r') ? Number(/^[^,:]+:(\d+)/.exec(relays)?.[1] ?? 21117) : 21117
}

/** What our servers have to be told to do by default what the reference does; it reads none of these. */
function environmentOf({ transcripts }: Group): Record<string, string> {
  const clients = transcripts.flatMap(({ clients = {} }) => Object.values(clients))
  const asksConsole = transcripts.some(
    ({ name, steps }) => name.startsWith('console:') || steps.some((step) => 'console' in step),
  )
  const isProxied = clients.some(({ headers }) => headers !== undefined)
  return {
    ...(asksConsole ? { CONSOLE: 'Y' } : {}),
    ...(isProxied ? { TRUSTED_PROXIES: '203.0.113.7' } : {}),
  }
}
