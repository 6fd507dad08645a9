import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Controller, ControllerOptions, Device, DeviceOptions, ServerSettings } from '@tryst/client'
import { loadKeyPair } from '@tryst/service'
import { freePort, freePorts, type SitePorts } from '../site/free-ports.ts'
import { Host } from '../site/host.ts'
import { type ServerName, type ServiceCommand, ServiceProcess } from '../site/service-process.ts'
import { SITE_HOST } from '../site/site.ts'
import { waitUntil } from '../site/wait-until.ts'
import { RedisProcess } from './redis-process.ts'

export interface ClusterOptions {
  /** How many ID servers and relays. Default: two of each. */
  readonly hbbs?: number
  readonly hbbr?: number
  /** All ID servers share one port (SO_REUSEPORT), as behind one address. Default: a port for each. */
  readonly address?: 'shared' | 'own'
  readonly env?: Readonly<Record<string, string>>
  /** Undefined: one of the cluster's own. */
  readonly redis?: RedisProcess
}

/** One node: a program in a folder of its own. */
export class ClusterNode {
  #process: ServiceProcess | undefined

  constructor(
    readonly program: ServerName,
    readonly name: string,
    readonly ports: SitePorts,
    private readonly folder: string,
    private readonly metricsPort: number,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  get process(): ServiceProcess {
    if (!this.#process) throw new Error(`${this.name} was not started`)
    return this.#process
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false
  }

  /** Whether it says that it lives, or that it wants work. */
  async says(what: 'livez' | 'readyz'): Promise<boolean> {
    const answer = await fetch(`http://${SITE_HOST}:${this.metricsPort}/${what}`).catch(() => undefined)
    return answer?.ok ?? false
  }

  /** A figure of one of its workers, or of itself where it has none; all labels of it together. */
  async figure(name: string, worker = 1): Promise<number> {
    const answer = await fetch(`http://${SITE_HOST}:${this.metricsPort + worker - 1}/metrics`)
    const values = (await answer.text()).split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line))
    if (values.length === 0) throw new Error(`${this.name} has no figure ${name}`)
    return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#process = await ServiceProcess.start(this.#command(env))
  }

  /** Starts it and waits for nothing. */
  launch(env: Readonly<Record<string, string>> = {}): ServiceProcess {
    this.#process = ServiceProcess.launch(this.#command(env))
    return this.#process
  }

  #command(env: Readonly<Record<string, string>>): ServiceCommand {
    const args = this.program === 'hbbr' ? ['-k', '_', '-p', `${this.ports.relay}`] : ['-p', `${this.ports.main}`]
    return { program: this.program, args, folder: this.folder, env: { ...this.env, ...env } }
  }

  async kill(): Promise<void> {
    await this.process.kill()
  }

  async stop(): Promise<void> {
    await this.#process?.stop()
  }
}

/** Several ID servers and relays that share one Redis and one key pair, with whoever connects to them. */
export class Cluster extends Host {
  readonly hbbs: ClusterNode[] = []
  readonly hbbr: ClusterNode[] = []

  private constructor(
    readonly redis: RedisProcess,
    readonly key: string,
    private readonly folder: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    super()
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-cluster-'))
    const keys = join(folder, 'keys')
    mkdirSync(keys)
    await loadKeyPair({ key: '-', use: 'sign', folder: keys })
    const key = readFileSync(join(keys, 'id_ed25519.pub'), 'utf8').trim()
    const redis = options.redis ?? (await RedisProcess.start())
    const cluster = new Cluster(redis, key, folder, options.env ?? {})
    try {
      const shared = options.address === 'shared' ? await freePorts() : undefined
      // Relays first: ID servers know them from their start on.
      for (let i = 0; i < (options.hbbr ?? 2); i++) await cluster.add('hbbr')
      for (let i = 0; i < (options.hbbs ?? 2); i++) await cluster.add('hbbs', shared)
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  /** Starts one node more. @param ports shared with nodes that are there; undefined: its own */
  async add(program: ServerName, ports?: SitePorts, env: Readonly<Record<string, string>> = {}): Promise<ClusterNode> {
    const nodes = this[program]
    const name = `${program}-${nodes.length + 1}`
    const folder = join(this.folder, name)
    cpSync(join(this.folder, 'keys'), folder, { recursive: true })
    const own = ports ?? (await freePorts())
    const metricsPort = await freePort()
    const node = new ClusterNode(program, name, own, folder, metricsPort, {
      METRICS_BIND: `${SITE_HOST}:${metricsPort}`,
      ...{ REDIS_URL: this.redis.url, NODE_ID: name, LOG_FORMAT: 'json', NODE_ADDRESS: SITE_HOST },
      ...(ports ? { REUSE_PORT: 'Y' } : {}),
      ...(program === 'hbbr' ? { RELAY_PUBLIC_ADDRESS: `${SITE_HOST}:${own.relay}` } : {}),
      ...this.env,
      ...env,
    })
    nodes.push(node)
    await node.start()
    return node
  }

  /** Every node has seen every other in Redis, which takes them a second: from here on they know what to do without. */
  async haveMet(): Promise<void> {
    const nodes = [...this.hbbs, ...this.hbbr]
    for (const node of nodes) {
      await waitUntil(`${node.name} has seen the other nodes`, () => {
        const seen = new Set(node.process.log.filter(({ msg }) => msg === 'node seen').map(({ node }) => node))
        return nodes.every(({ name }) => name === node.name || seen.has(name))
      })
    }
  }

  /** What a user enters into a client. @param index of the ID server; any of them where they share an address */
  server(index = 0): ServerSettings {
    return { host: SITE_HOST, port: this.node('hbbs', index).ports.main, key: this.key }
  }

  node(program: ServerName, index = 0): ClusterNode {
    const node = this[program][index]
    if (!node) throw new Error(`there is no ${program} ${index}`)
    return node
  }

  /** A device that is online. @param index of the ID server that it registers with */
  device(index = 0, options: Partial<DeviceOptions> = {}): Promise<Device> {
    return this.welcomeDevice({ natType: 'asymmetric', ...options, server: this.server(index) })
  }

  controller(index = 0, options: Partial<ControllerOptions> = {}): Controller {
    return this.welcomeController({ ...options, server: this.server(index) })
  }

  async close(): Promise<void> {
    await this.dismissGuests()
    // The relays drain for some seconds: all at once.
    await Promise.all([...this.hbbs, ...this.hbbr].map((node) => node.stop()))
    await this.redis.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
