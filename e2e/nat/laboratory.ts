import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerSettings } from '@tryst/client'
import { loadKeyPair } from '@tryst/service'
import { Namespace, NO_NAMESPACES, removeOrphanedNamespaces } from '../src/site/namespace.ts'
import { type ServerName, ServiceProcess } from '../src/site/service-process.ts'
import { waitUntil } from '../src/site/wait-until.ts'
import type { RouterKind } from './behaviour.ts'
import { Network } from './network.ts'
import type { ObserverPlaces } from './observers.ts'
import { MORTAL, Resident } from './resident.ts'
import { Router, type RouterOptions } from './router.ts'

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined

/** Why there can be no laboratory here; undefined: there can. */
export const NO_LABORATORY: string | undefined =
  NO_NAMESPACES ??
  (has('nft') ? undefined : 'skipped: nft is not installed; install the package nftables') ??
  (has('setpriv') ? undefined : 'skipped: setpriv is not installed; install the package util-linux') ??
  (existsSync('/proc/net/if_inet6') ? undefined : 'skipped: this Linux has no IPv6')

export const SERVER_NAME = 'id.example.com'
const SERVER_HOST = 10
const NODE_HOSTS = [11, 12] as const
const REDIS_HOST = 13
const OBSERVER_HOSTS = [21, 22] as const
const OBSERVER_PORTS = [7_001, 7_002] as const
const FIRST_HOST = 101

export interface RouterPlan extends Omit<RouterOptions, 'namespace' | 'upstream' | 'host' | 'prefixes'> {
  readonly label: string
  /** Default: the public network. */
  readonly upstream?: Network
}

export interface ServerPlan {
  readonly machine: Namespace
  /** Default: both. */
  readonly programs?: readonly ServerName[]
  readonly env: Readonly<Record<string, string>>
}

/** What names mean on a machine. */
export type Hosts = Readonly<Record<string, string>>

/** A piece of the internet: a public network with an ID server, a relay and observers, to which homes are connected. */
export class Laboratory {
  readonly #namespaces: Namespace[] = []
  readonly #services: Promise<ServiceProcess>[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-nat-'))
  readonly internet: Network
  #hosts = FIRST_HOST
  #networks = 0
  #files = 0
  #isClosed = false

  private constructor() {
    this.internet = Network.make(this.#namespace('net'), { ipv4: '203.0.113', ipv6: '2001:db8:0:ff' })
  }

  static open(): Laboratory {
    removeOrphanedNamespaces()
    return new Laboratory()
  }

  /** A machine in a network, at an address that nobody else has there. */
  machine(label: string, network: Network = this.internet, ...hosts: readonly number[]): Namespace {
    const machine = this.#namespace(label)
    const [first = this.#hosts++, ...rest] = hosts
    network.attach(machine, first, ...rest)
    return machine
  }

  /** A router with a network behind it, of the same addresses as all other networks of homes. */
  router(plan: RouterPlan): Router {
    return this.#install(plan, '192.168.1')
  }

  /** The router of a provider that gives homes no public address. */
  carrier(label: string, kind: RouterKind): Router {
    return this.#install({ label, kind }, '100.64.0')
  }

  /** Who lives on a machine. @param hosts what names mean there, besides those of the machine itself */
  resident(machine: Namespace, hosts?: Hosts): Resident {
    return new Resident(machine, hosts && this.#hostsFile(hosts))
  }

  /** The places to probe routers with; somebody is there. */
  async observers(): Promise<{ readonly ipv4: ObserverPlaces; readonly ipv6: ObserverPlaces }> {
    const resident = this.resident(this.machine('observers', this.internet, ...OBSERVER_HOSTS))
    const [one, other] = OBSERVER_HOSTS
    const { internet } = this
    const ipv4: ObserverPlaces = { ips: [internet.ipv4(one), internet.ipv4(other)], ports: OBSERVER_PORTS }
    const ipv6: ObserverPlaces = { ips: [internet.ipv6(one), internet.ipv6(other)], ports: OBSERVER_PORTS }
    await Promise.all([resident.ask('observe', ipv4), resident.ask('observe', ipv6)])
    return { ipv4, ipv6 }
  }

  /** An ID server and a relay on the public network. */
  publicServer(): Promise<ServerSettings> {
    const host = this.internet.ipv4(SERVER_HOST)
    const machine = this.machine('server', this.internet, SERVER_HOST)
    return this.server({ machine, env: { PUBLIC_HOST: host } }).then((key) => ({ host, key }))
  }

  /** Two ID servers that share a Redis, and a relay on the machine of the first. */
  async publicNodes(): Promise<readonly [ServerSettings, ServerSettings]> {
    const [one, other] = NODE_HOSTS
    const machines = [this.machine('node1', this.internet, one), this.machine('node2', this.internet, other)] as const
    const [folder, ...copies] = machines.map((machine) => this.#makeFolder(machine)) as [string, string]
    await loadKeyPair({ key: '-', use: 'sign', folder })
    for (const copy of copies) cpSync(folder, copy, { recursive: true })
    const env = { REDIS_URL: await this.#redis(), PUBLIC_HOST: this.internet.ipv4(one) }
    const key = await this.server({ machine: machines[0], env })
    await this.server({ machine: machines[1], env, programs: ['hbbs'] })
    return [
      { host: this.internet.ipv4(one), key },
      { host: this.internet.ipv4(other), key },
    ]
  }

  /** An ID server and a relay on a machine. @returns the key */
  async server({ machine, env, programs = ['hbbs', 'hbbr'] }: ServerPlan): Promise<string> {
    const folder = this.#makeFolder(machine)
    // The ID server first: it makes the key.
    for (const program of programs) {
      if (this.#isClosed) throw new Error(`${program} came too late: the laboratory is closed`)
      const starting = ServiceProcess.start({
        ...{ program, args: program === 'hbbr' ? ['-k', '_'] : [], folder },
        env: { LOG_FORMAT: 'json', ...env },
        through: [...machine.prefix, ...MORTAL],
      })
      this.#services.push(starting)
      await starting
    }
    return readFileSync(join(folder, 'id_ed25519.pub'), 'utf8').trim()
  }

  /** Ends and removes everything; what is still being built fails. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const started of await Promise.allSettled(this.#services)) {
      if (started.status === 'fulfilled') await started.value.stop()
    }
    await Promise.all(this.#namespaces.map((namespace) => namespace.remove()))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Starts a Redis on a machine of its own. @returns its URL */
  async #redis(): Promise<string> {
    const machine = this.machine('redis', this.internet, REDIS_HOST)
    const ip = this.internet.ipv4(REDIS_HOST)
    const args = ['--bind', ip, '--protected-mode', 'no', '--save', '', '--appendonly', 'yes', '--dir', this.#folder]
    machine.start(MORTAL[0], [...MORTAL.slice(1), 'redis-server', ...args])
    await waitUntil('Redis answers', () => {
      try {
        return machine.run('redis-cli', '-h', ip, 'PING').trim() === 'PONG'
      } catch {
        return false
      }
    })
    return `redis://${ip}:6379`
  }

  /** A machine's folder; it stays the same. */
  #makeFolder(machine: Namespace): string {
    const folder = join(this.#folder, machine.label)
    mkdirSync(folder, { recursive: true })
    return folder
  }

  #install({ label, upstream = this.internet, ...options }: RouterPlan, ipv4: string): Router {
    const prefixes = { ipv4, ipv6: `2001:db8:1:${++this.#networks}` }
    return Router.install({ ...options, namespace: this.#namespace(label), upstream, host: this.#hosts++, prefixes })
  }

  #hostsFile(hosts: Hosts): string {
    const file = join(this.#folder, `hosts-${++this.#files}`)
    const lines = Object.entries({ localhost: '127.0.0.1', ...hosts }).map(([name, ip]) => `${ip} ${name}\n`)
    writeFileSync(file, lines.join(''))
    return file
  }

  #namespace(label: string): Namespace {
    if (this.#isClosed) throw new Error(`${label} came too late: the laboratory is closed`)
    const namespace = Namespace.make(label)
    this.#namespaces.push(namespace)
    return namespace
  }
}
