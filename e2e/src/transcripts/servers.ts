import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Network } from './network.ts'
import { ServerProcess } from './server-process.ts'
import type { Group, PortRole, TranscriptFile } from './transcript.ts'

const services = resolve(import.meta.dirname, '../../../services')
/** Other programs can be put in the place of ours, to test the replay itself. */
export const programs = {
  hbbs: process.env.HBBS_BIN ?? join(services, 'hbbs/bin/hbbs'),
  hbbr: process.env.HBBR_BIN ?? join(services, 'hbbr/bin/hbbr'),
} as const

/** The servers of one group, in a folder of their own. */
export class Servers {
  readonly folder = mkdtempSync(join(tmpdir(), 'tryst-transcripts-'))
  readonly ports: Readonly<Record<PortRole, number>>
  readonly #processes: ServerProcess[]

  /** @param dataFolder to begin with a copy of; else the recorded keys, unless the group goes without */
  constructor(group: Group, network: Network, keys: TranscriptFile['keys'], dataFolder?: string) {
    const { hbbs, hbbr, env = {}, files = {}, keyFiles } = group.options
    this.ports = network.ports
    if (dataFolder) this.#copy(dataFolder)
    else if (keyFiles === undefined) {
      this.#write('id_ed25519', keys.serverSecretText)
      this.#write('id_ed25519.pub', keys.serverPublicText)
    }
    for (const [name, text] of Object.entries(files)) this.#write(name, text)
    const environment = { ...env, ...environmentOf(group, network) }
    const { main, nat, ws, relay, relayWs } = this.ports
    const common = { folder: this.folder, env: environment }
    const idServer = { program: programs.hbbs, tcpPorts: [main, nat, ws], udpPorts: [main] }
    const relayServer = { program: programs.hbbr, tcpPorts: [relay, relayWs], udpPorts: [] }
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

/** What our servers have to be told to do what the reference does by default; it reads none of these. */
function environmentOf(group: Group, network: Network): Record<string, string> {
  const { transcripts } = group
  const clients = transcripts.flatMap(({ clients = {} }) => Object.values(clients))
  const asksConsole = transcripts
    .filter((one) => network.canPlay(group, one))
    .some(
      ({ name, steps }) =>
        name.startsWith('console:') || steps.some((step) => 'console' in step && network.canTake(step)),
    )
  const proxies = new Set(clients.filter(({ headers }) => headers).map((client) => network.place(client).ip))
  return {
    ...(asksConsole ? { CONSOLE: 'Y' } : {}),
    ...(proxies.size > 0 ? { TRUSTED_PROXIES: [...proxies].join(',') } : {}),
  }
}
