import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Namespace } from '../site/namespace.ts'
import { type ProgramName, ServiceProcess } from '../site/service-process.ts'
import { type DoctorRun, runDoctor } from './doctor.ts'

export interface RemoteServerOptions {
  /** The address of the server in the network that it shares with the operator. Default: a public one. */
  readonly ip?: string
  readonly operatorIp?: string
  readonly hbbs?: Readonly<Record<string, string>>
  readonly hbbr?: Readonly<Record<string, string>>
}

const REMOTE_IP = '203.0.113.10'
const OPERATOR_IP = '203.0.113.20'

/** Drops what this condition of nftables applies to. */
export function dropAt(place: Namespace, hook: 'prerouting' | 'input' | 'output', condition: string): void {
  place.nft(`table inet doctor {
  chain ${hook} {
    type filter hook ${hook} priority 0
    ${condition} drop
  }
}
`)
}

/** A server on a machine of its own, with the standard ports, and an operator on another one. */
export class RemoteServer {
  readonly server = Namespace.make('server')
  readonly operator = Namespace.make('operator')
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-remote-'))
  readonly #services: ServiceProcess[] = []

  private constructor(
    readonly ip: string,
    operatorIp: string,
  ) {
    this.server.connect(this.operator, `${ip}/24`, `${operatorIp}/24`)
  }

  static async start(options: RemoteServerOptions = {}): Promise<RemoteServer> {
    const { ip = REMOTE_IP, operatorIp = OPERATOR_IP, hbbs, hbbr } = options
    const remote = new RemoteServer(ip, operatorIp)
    try {
      // The ID server first: it makes the key.
      await remote.#start('hbbs', { PUBLIC_HOST: ip, ...hbbs })
      await remote.#start('hbbr', { KEY: '_', ...hbbr })
      return remote
    } catch (error) {
      await remote.close()
      throw error
    }
  }

  /** Drops what these conditions of nftables apply to, where it arrives at the server, or where it leaves it. */
  drop(hook: 'input' | 'output', condition: string): void {
    dropAt(this.server, hook, condition)
  }

  /** Runs the doctor on the operator's machine, or on the server itself. */
  examine(host = this.ip, from: Namespace = this.operator, ...flags: readonly string[]): Promise<DoctorRun> {
    const key = readFileSync(join(this.#folder, 'id_ed25519.pub'), 'utf8').trim()
    return runDoctor(['--key', key, '--timeout', '2', ...flags, host], { through: from.prefix })
  }

  async close(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop()))
    await Promise.all([this.server.remove(), this.operator.remove()])
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #start(program: ProgramName, settings: Readonly<Record<string, string>>): Promise<void> {
    const env = { LOG_FORMAT: 'json', ...settings }
    const through = this.server.prefix
    this.#services.push(await ServiceProcess.start({ program, env, folder: this.#folder, through }))
  }
}
