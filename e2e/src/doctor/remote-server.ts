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
  /** Between both stands a machine on which the server is a container, and which hides who comes. */
  readonly network?: 'hiding'
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
  #gateway: Namespace | undefined
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-remote-'))
  readonly #services: ServiceProcess[] = []

  private constructor(
    readonly ip: string,
    operatorIp: string,
    network: RemoteServerOptions['network'],
  ) {
    if (network === 'hiding') this.#gateway = this.#makeGateway(ip, operatorIp)
    else this.server.connect(this.operator, `${ip}/24`, `${operatorIp}/24`)
  }

  /** As a container engine whose network translates both addresses. */
  #makeGateway(ip: string, operatorIp: string): Namespace {
    const gateway = Namespace.make('gateway')
    gateway.run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
    gateway.connect(this.operator, `${ip}/24`, `${operatorIp}/24`)
    gateway.connect(this.server, '172.18.0.1/16', '172.18.0.2/16')
    this.server.ip('route', 'add', 'default', 'via', '172.18.0.1')
    gateway.nft(`table ip container {
  chain in {
    type nat hook prerouting priority -100
    iifname "${this.operator.label}" dnat to 172.18.0.2
  }
  chain out {
    type nat hook postrouting priority 100
    oifname "${this.server.label}" snat to 172.18.0.1
  }
}
`)
    return gateway
  }

  static async start(options: RemoteServerOptions = {}): Promise<RemoteServer> {
    const { ip = REMOTE_IP, operatorIp = OPERATOR_IP, network, hbbs, hbbr } = options
    const remote = new RemoteServer(ip, operatorIp, network)
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
    await Promise.all([this.server.remove(), this.operator.remove(), this.#gateway?.remove()])
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #start(program: ProgramName, settings: Readonly<Record<string, string>>): Promise<void> {
    const env = { LOG_FORMAT: 'json', ...settings }
    const through = this.server.prefix
    this.#services.push(await ServiceProcess.start({ program, env, folder: this.#folder, through }))
  }
}
