/**
 * Servers and peers in a network namespace of its own, which has the address families that it is told:
 * `families-worker.ts FAMILIES CASES`, both as JSON. Writes the outcome of each case to standard output.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Controller, Device, DeviceSession, ServerSettings } from '@tryst/client'
import { exchange } from '../site/exchange.ts'
import { Host } from '../site/host.ts'
import { ServiceProcess } from '../site/service-process.ts'
import { within } from '../site/wait-until.ts'
import {
  type Families,
  type FamilyCase,
  type FamilyOutcome,
  type FamilyReport,
  MACHINE,
  type PeerWays,
  RELAYS,
  TCP_PORTS,
} from './families.ts'

const PASSWORD = 'correct horse'
const SESSION_BYTES = 1 << 20
const DISABLE_IPV6 = '/proc/sys/net/ipv6/conf/all/disable_ipv6'

const [families, cases] = process.argv.slice(2).map((text) => JSON.parse(text)) as [Families, FamilyCase[]]

function makeMachine(): void {
  const lines = ['link set lo up']
  if (families === 'v4') {
    if (existsSync(DISABLE_IPV6)) writeFileSync(DISABLE_IPV6, '1')
  } else lines.push(...Object.values(MACHINE.v6).map((ip) => `addr add ${ip}/128 dev lo nodad`))
  if (families === 'v6') lines.push('addr flush dev lo to 127.0.0.0/8')
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/** An ID server and a relay with the usual ports, and whoever connects to them. */
class Site extends Host {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-families-'))
  readonly #services: ServiceProcess[] = []

  async start(): Promise<void> {
    // The relay is known by an address of each family that there is, and by no name.
    const relays = families === 'both' ? ['v4', 'v6'] : [families]
    const RELAY_SERVERS = relays.map((family) => RELAYS[family as 'v4' | 'v6']).join(',')
    const common = { env: { RELAY_SERVERS, LOG_FORMAT: 'json' }, folder: this.#folder }
    // The ID server first: it makes the key.
    this.#services.push(await ServiceProcess.start({ program: 'hbbs', args: [], ...common }))
    this.#services.push(await ServiceProcess.start({ program: 'hbbr', args: ['-k', '_'], ...common }))
  }

  device({ server, offersIpv6 }: PeerWays): Promise<Device> {
    return this.welcomeDevice({
      ...{ server: this.#serverFor(server), password: PASSWORD, natType: 'asymmetric' },
      localAddress: MACHINE[server].device,
      ...(offersIpv6 ? { ipv6Address: MACHINE.v6.device } : {}),
    })
  }

  controller({ server, offersIpv6, udpPunch = false, tcpPunch = true }: FamilyCase['controller']): Controller {
    return this.welcomeController({
      ...{ server: this.#serverFor(server), udpPunch, tcpPunch },
      localAddress: MACHINE[server].controller,
      ...(offersIpv6 ? { ipv6Address: MACHINE.v6.controller } : {}),
    })
  }

  /** The TCP ports that somebody listens on, by address family. */
  async openPorts(): Promise<FamilyReport['openPorts']> {
    const [v4, v6] = await Promise.all([MACHINE.v4.server, MACHINE.v6.server].map(openPortsOf))
    return { v4: v4 ?? [], v6: v6 ?? [] }
  }

  async close(): Promise<void> {
    await this.dismissGuests()
    await Promise.all(this.#services.map((service) => service.stop()))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #serverFor(family: 'v4' | 'v6'): ServerSettings {
    const key = readFileSync(join(this.#folder, 'id_ed25519.pub'), 'utf8').trim()
    return { host: MACHINE[family].server, key }
  }
}

async function openPortsOf(host: string): Promise<number[]> {
  const isOpen = (port: number) =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host, port }, () => resolve(true))
      socket.on('error', () => resolve(false)).once('connect', () => socket.destroy())
    })
  const open = await Promise.all(TCP_PORTS.map(isOpen))
  return TCP_PORTS.filter((_, i) => open[i])
}

async function play(site: Site, { device, controller, forceRelay = false }: FamilyCase): Promise<FamilyOutcome> {
  const one = await site.device(device)
  const other = site.controller(controller)
  const outcome = { reactions: [] as string[], relays: [] as string[] }
  one.on('reaction', (reaction) => {
    outcome.reactions.push(reaction.kind)
    if ('relayServer' in reaction) outcome.relays.push(reaction.relayServer)
  })
  const accepted = new Promise<DeviceSession>((resolve) => one.once('session', resolve))
  const ours = await other.connect(one.id, { password: PASSWORD, forceRelay })
  const theirs = await within('the device has a session', accepted)
  const { forth, back } = await exchange(ours, theirs, SESSION_BYTES)
  const isWhole = forth.received === forth.sent && back.received === back.sent
  const { route, isEncrypted } = ours
  await site.dismissGuests()
  return { ...outcome, route, isEncrypted, isWhole }
}

makeMachine()
const site = new Site()
try {
  await site.start()
  const openPorts = await site.openPorts()
  const outcomes: FamilyOutcome[] = []
  for (const one of cases) outcomes.push(await play(site, one))
  process.stdout.write(JSON.stringify({ openPorts, outcomes } satisfies FamilyReport))
} finally {
  await site.close()
}
