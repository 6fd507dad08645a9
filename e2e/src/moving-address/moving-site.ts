import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { loadKeyPair } from '@tryst/service'
import { RedisKeys } from '@tryst/state-redis'
import { Namespace } from '../site/namespace.ts'
import { programPath } from '../site/service-process.ts'
import { waitUntil } from '../site/wait-until.ts'
import { exampleAfter } from './example.ts'

/** As in docs/operating.md, a moving address. */
export const ADDRESS = '192.0.2.10'
const MACHINES = ['192.0.2.11', '192.0.2.12'] as const
const STORE = '192.0.2.1'
const REDIS_PORT = 6379
/** What the router shows of the device. */
export const ROUTER = '192.0.2.20'
const INSIDE = '10.9.8.1'
const MAIN_PORT = 21116
const STARTS_WITHIN_MS = 30_000

const keys = new RedisKeys('tryst:')
const program = (name: string) => resolve(import.meta.dirname, name)

/** A machine with an ID server and keepalived. */
export class Machine {
  #hbbs: { kill(signal: NodeJS.Signals): unknown } | undefined

  constructor(
    readonly index: 0 | 1,
    readonly namespace: Namespace,
    private readonly folder: string,
  ) {}

  get ip(): string {
    return MACHINES[this.index]
  }

  get name(): string {
    return `hbbs-${this.index + 1}`
  }

  get hasAddress(): boolean {
    return this.namespace.ip('-o', 'addr', 'show').includes(` ${ADDRESS}/`)
  }

  startHbbs(): void {
    const settings = exampleAfter('Settings of hbbs on the first machine', {
      'NODE_ADDRESS=192.0.2.11:': `NODE_ADDRESS=${this.ip}:`,
      [`redis://${STORE}:6379`]: `redis://${STORE}:${REDIS_PORT}`,
    })
    writeFileSync(join(this.folder, '.env'), `${settings}NODE_ID=${this.name}\nLOG_FORMAT=json\n`)
    const child = this.namespace.start('env', ['-C', this.folder, process.execPath, programPath('hbbs')])
    this.#hbbs = child
  }

  /** As when the process crashes. */
  killHbbs(): void {
    this.#hbbs?.kill('SIGKILL')
  }

  startKeepalived(): void {
    const [other] = MACHINES.filter((ip) => ip !== this.ip)
    const text = exampleAfter('keepalived.conf` on the first machine', {
      eth0: 'switch',
      'unicast_src_ip 192.0.2.11': `unicast_src_ip ${this.ip}`,
      '        192.0.2.12\n': `        ${other}\n`,
    })
    const file = join(this.folder, 'keepalived.conf')
    writeFileSync(file, text, { mode: 0o644 })
    const pids = ['-p', join(this.folder, 'keepalived.pid'), '-r', join(this.folder, 'vrrp.pid')]
    this.namespace.start('keepalived', ['-n', '-l', '-P', '-f', file, ...pids])
  }

  /** As when the machine loses power, seen from outside. */
  unplug(): void {
    this.namespace.ip('link', 'set', 'switch', 'down')
  }

  plugIn(): void {
    this.namespace.ip('link', 'set', 'switch', 'up')
  }
}

/** What Redis says of a device. */
export interface Whereabouts {
  /** Name of the node. */
  readonly node: string | undefined
  readonly ip: string
}

/**
 * Two machines, a Redis and a controller on one network; and a device behind a router that translates addresses. Each in
 * a network namespace of its own.
 */
export class MovingSite {
  readonly machines: Machine[] = []
  readonly #switch = Namespace.make('switch')
  readonly #router = Namespace.make('router')
  readonly #home = Namespace.make('home')
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-moving-'))
  #key = ''

  static async start(): Promise<MovingSite> {
    const site = new MovingSite()
    try {
      await site.#start()
      return site
    } catch (error) {
      await site.close()
      throw new Error(`${(error as Error).message}\n${site.output}`, { cause: error })
    }
  }

  /** What the programs have written lately. */
  get output(): string {
    return this.#namespaces.map(({ output }) => output).join('\n')
  }

  /** The machine that has the address now. */
  holder(): Machine | undefined {
    const holders = this.machines.filter(({ hasAddress }) => hasAddress)
    return holders.length === 1 ? holders[0] : undefined
  }

  /** Starts a device at home, and waits until it is online. @returns its id */
  async startDevice(): Promise<string> {
    const child = this.#home.start(process.execPath, [
      program('device-at-home.ts'),
      ...[ADDRESS, `${MAIN_PORT}`, this.#key],
    ])
    const lines: string[] = []
    if (child.stdout) createInterface(child.stdout).on('line', (line) => lines.push(line))
    await waitUntil('the device is online', () => lines.includes('online'), STARTS_WITHIN_MS)
    return lines[0] ?? ''
  }

  whereabouts(id: string): Whereabouts | undefined {
    const [owner = '', ip = ''] = this.#redis('HMGET', keys.presence(id), 'o', 'i')
    if (owner === '') return undefined
    const [info = '{}'] = this.#redis('HGET', keys.nodeInfo(), owner)
    return { ip, node: info === '' ? undefined : (JSON.parse(info) as { name: string }).name }
  }

  /** Where a controller is told that the device is, `ip:port`. */
  askFor(id: string): string {
    return this.#switch
      .run(process.execPath, program('ask-for-device.ts'), ADDRESS, `${MAIN_PORT}`, this.#key, id)
      .trim()
  }

  async close(): Promise<void> {
    for (const namespace of this.#namespaces) await namespace.remove()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get #namespaces(): Namespace[] {
    return [...this.machines.map(({ namespace }) => namespace), this.#home, this.#router, this.#switch]
  }

  async #start(): Promise<void> {
    this.#layCables()
    await this.#startRedis()
    const keyFolder = join(this.#folder, 'keys')
    mkdirSync(keyFolder)
    await loadKeyPair({ key: '-', use: 'sign', folder: keyFolder })
    this.#key = readFileSync(join(keyFolder, 'id_ed25519.pub'), 'utf8').trim()
    this.#spreadKeys(keyFolder)
    for (const machine of this.machines) machine.startHbbs()
    for (const machine of this.machines) machine.startKeepalived()
    await waitUntil('a machine has the address', () => this.holder(), STARTS_WITHIN_MS)
    await waitUntil('both nodes take part', () => this.#redis('ZCARD', keys.nodes())[0] === '2', STARTS_WITHIN_MS)
  }

  #layCables(): void {
    const net = this.#switch
    net.ip('link', 'add', 'lan', 'type', 'bridge')
    net.ip('addr', 'add', `${STORE}/24`, 'dev', 'lan')
    net.ip('link', 'set', 'lan', 'up')
    for (const index of [0, 1] as const) {
      const namespace = Namespace.make(`machine${index}`)
      const folder = join(this.#folder, `machine${index}`)
      this.machines.push(new Machine(index, namespace, folder))
      namespace.connect(net, `${MACHINES[index]}/24`, undefined)
      namespace.run('sysctl', '-qw', 'net.ipv4.ip_nonlocal_bind=1')
    }
    this.#router.connect(net, `${ROUTER}/24`, undefined)
    this.#home.connect(this.#router, '10.9.8.2/24', `${INSIDE}/24`)
    this.#home.ip('route', 'add', 'default', 'via', INSIDE)
    this.#router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
    this.#router.run('nft', 'add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }')
    this.#router.run('nft', 'add rule ip nat out oifname switch masquerade')
    for (const end of ['machine0', 'machine1', 'router']) net.ip('link', 'set', end, 'master', 'lan')
  }

  async #startRedis(): Promise<void> {
    const args = ['--port', `${REDIS_PORT}`, '--bind', STORE, '--protected-mode', 'no', '--save', '']
    this.#switch.start('redis-server', [...args, '--appendonly', 'yes', '--dir', this.#folder])
    await waitUntil('Redis answers', () => {
      try {
        return this.#redis('PING')[0] === 'PONG'
      } catch {
        return false
      }
    })
  }

  #redis(...command: string[]): string[] {
    return this.#switch.run('redis-cli', '-h', STORE, '-p', `${REDIS_PORT}`, ...command).split('\n')
  }

  /** Both machines have the same key pair. */
  #spreadKeys(folder: string): void {
    for (const machine of ['machine0', 'machine1']) cpSync(folder, join(this.#folder, machine), { recursive: true })
  }
}
