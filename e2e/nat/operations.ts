import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import {
  Controller,
  type ControllerSession,
  Device,
  echo,
  type NatType,
  type ServerSettings,
  scaledClock,
  systemClock,
} from '@tryst/client'
import { exchangeAt } from '../src/site/exchange.ts'
import { waitUntil } from '../src/site/wait-until.ts'
import type { Behaviour } from './behaviour.ts'
import { type ObserverPlaces, startObservers } from './observers.ts'
import { probeTcp, probeUdp } from './probe.ts'
import type { Way } from './theory.ts'

const ONLINE_WITHIN_MS = 60_000
/** What nobody answers is found out so late. */
const REACHED_WITHIN_MS = 3_000
/** Factor by which controllers wait longer. */
const PATIENCE = 5

export interface DeviceTask {
  readonly server: ServerSettings
  /** The only way that is open, or all; without it TCP. */
  readonly way?: Way | 'all'
}

export interface ConnectTask {
  readonly server: ServerSettings
  readonly id: string
  /** The only way that is tried, or all; without it TCP. */
  readonly way?: Way | 'all'
  /** Random bytes that go to the device and back. */
  readonly bytes: number
}

export interface ConnectResult {
  readonly route: ControllerSession['route']
  readonly isEncrypted: boolean
  /** SHA-256 of what was sent, and of what came back. */
  readonly sent: string
  readonly received: string
  readonly elapsedMs: number
}

const controllers = new Map<string, Promise<Controller>>()

/** What a resident can be asked for. */
export const operations = {
  observe: async (places: ObserverPlaces): Promise<void> => startObservers(places),

  probe: async (places: ObserverPlaces): Promise<{ udp: Behaviour; tcp: Behaviour }> => {
    const [udp, tcp] = await Promise.all([probeUdp(places), probeTcp(places)])
    return { udp, tcp }
  },

  /** Whether somebody accepts connections there. */
  reach: async ({ host, port }: { readonly host: string; readonly port: number }): Promise<boolean> => {
    const socket = connect({ host, port })
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(REACHED_WITHIN_MS) })
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  },

  /** A device that gives everybody their bytes back. @returns its id when it is online and knows its NAT */
  beDevice: async ({ server, way }: DeviceTask): Promise<{ id: string; natType: NatType }> => {
    const device = new Device({ server, ...ipv6For(way), onSession: echo, password: PASSWORD })
    await device.start()
    await device.online(ONLINE_WITHIN_MS)
    const { id } = device
    const natType = await waitUntil('the device knows its NAT', () => knownNatType(device), ONLINE_WITHIN_MS)
    return { id, natType }
  },

  connect: async (task: ConnectTask): Promise<ConnectResult> => {
    const { id, bytes } = task
    const controller = await controllerFor(task)
    const beganMs = performance.now()
    const session = await controller.connect(id, { password: PASSWORD })
    const elapsedMs = performance.now() - beganMs
    const transfer = await exchangeAt(session, bytes)
    const { route, isEncrypted } = session
    await session.close()
    return { route, isEncrypted, ...transfer, elapsedMs }
  },
} as const

export type Operations = typeof operations
export type OperationName = keyof Operations

const PASSWORD = 'behind the router'

const knownNatType = ({ natType }: Device) => (natType === 'unknown' ? undefined : natType)

/** A controller that knows its NAT; there is one for each server and way. */
function controllerFor({ server, way = 'tcp' }: ConnectTask): Promise<Controller> {
  const name = `${way} ${server.host}`
  const known = controllers.get(name)
  if (known) return known
  const made = new Controller({
    // On a busy machine the server's answer may miss the 100 ms that clients leave it to tell a UDP port.
    clock: way === 'udp' ? scaledClock(PATIENCE) : systemClock,
    ...{ server, tcpPunch: way === 'tcp' || way === 'all', udpPunch: way === 'udp' || way === 'all' },
    ...ipv6For(way),
  })
  const ready = made.testNat().then(() => made)
  controllers.set(name, ready)
  return ready
}

/** Clients look for their public address in the routing table; a machine of the laboratory has only one. */
function ipv6For(way: Way | 'all' | undefined): { readonly ipv6Address?: string } {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const own = all.find(({ family, internal, scopeid }) => family === 'IPv6' && !internal && scopeid === 0)
  return (way === 'ipv6' || way === 'all') && own ? { ipv6Address: own.address } : {}
}
