import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { ServerSettings } from '@tryst/client'
import { homeOf } from './home.ts'
import { Laboratory, NO_LABORATORY, SERVER_NAME } from './laboratory.ts'
import type { Resident } from './resident.ts'
import type { Route } from './theory.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const BYTES = 300_000
/** Clients try so long before they turn to the relay. */
const DIRECT_LIMIT_MS = 18_000
const SERVER_HOST = 10
const MAIN_PORT = 21_116
const MASK = { MASK: '192.168.1.0/24', LOCAL_IP: '192.168.1.10' }
const RULES = { RELAY_RULES: '192.168.1.0/24=192.168.1.10:21117' }

interface Plan {
  readonly label: string
  readonly hairpin: boolean
  /** What everybody enters as the ID server; a name means the server itself at home, and the router outside. */
  readonly entered: 'address' | 'name'
  readonly env: Readonly<Record<string, string>>
}

/** As docs/nat.md, a server at home, says. */
const PLANS: readonly (readonly [string, Plan])[] = [
  ['that turns around, by its address', { label: 'turn', hairpin: true, entered: 'address', env: {} }],
  [
    'that does not turn around, by a name',
    { label: 'name', hairpin: false, entered: 'name', env: { PUBLIC_HOST: SERVER_NAME } },
  ],
  ['that does not turn around, by a name, with MASK', { label: 'mask', hairpin: false, entered: 'name', env: MASK }],
  [
    'that does not turn around, by a name, with RELAY_RULES',
    { label: 'rule', hairpin: false, entered: 'name', env: RULES },
  ],
]

class HomeServer {
  constructor(
    readonly server: ServerSettings,
    /** The router's address, which the server's ports are forwarded from. */
    private readonly outsideIp: string,
    /** A controller and a device at home. */
    readonly inside: readonly [Resident, Resident],
    /** The same in two other homes. */
    readonly outside: readonly [Resident, Resident],
  ) {}

  static async start(laboratory: Laboratory, { label, hairpin, entered, env }: Plan): Promise<HomeServer> {
    const forwarding = { toHost: SERVER_HOST, hairpin }
    const { network, outsideIp } = laboratory.router({ label: `${label}-nat`, kind: 'port-restricted', forwarding })
    const machine = laboratory.machine(`${label}-srv`, network, SERVER_HOST)
    const key = await laboratory.server({ machine, env: { PUBLIC_HOST: outsideIp, ...env } })
    const inside = (name: string) =>
      laboratory.resident(laboratory.machine(`${label}-${name}`, network), { [SERVER_NAME]: network.ipv4(SERVER_HOST) })
    const outside = (name: string) =>
      laboratory.resident(homeOf(laboratory, `${label}-${name}`, 'port-restricted'), { [SERVER_NAME]: outsideIp })
    const server = { host: entered === 'name' ? SERVER_NAME : outsideIp, key }
    return new HomeServer(server, outsideIp, [inside('lan1'), inside('lan2')], [outside('wan1'), outside('wan2')])
  }

  /** Whether the router turns around what comes from home for its own address. */
  turnsAround(): Promise<boolean> {
    return this.inside[0].ask('reach', { host: this.outsideIp, port: MAIN_PORT })
  }

  /** The routes of sessions from either place to either place. */
  async routes(): Promise<Record<string, Route>> {
    const { server } = this
    const places = { lan: this.inside, wan: this.outside } as const
    const names = ['lan', 'wan'] as const
    const ids = await Promise.all(
      names.map(async (to) => [to, await places[to][1].ask('beDevice', { server })] as const),
    )
    const routes = names.flatMap((from) =>
      ids.map(async ([to, { id }]) => {
        const task = { server, id, bytes: BYTES }
        const { route, sent, received, elapsedMs } = await places[from][0].ask('connect', task)
        expect(received).toBe(sent)
        // Nobody had to find out by waiting that there is no direct way.
        expect(elapsedMs).toBeLessThan(DIRECT_LIMIT_MS)
        return [`${from} to ${to}`, route] as const
      }),
    )
    return Object.fromEntries(await Promise.all(routes))
  }
}

const suite = NO_LABORATORY === undefined ? describe : describe.skip

suite(`a server at home${NO_LABORATORY === undefined ? '' : ` (${NO_LABORATORY})`}`, () => {
  let laboratory: Laboratory
  let found: ReadonlyMap<string, { readonly turnsAround: boolean; readonly routes: Record<string, Route> }>

  beforeAll(async () => {
    laboratory = Laboratory.open()
    const all = PLANS.map(async ([what, plan]) => {
      const home = await HomeServer.start(laboratory, plan)
      return [what, { turnsAround: await home.turnsAround(), routes: await home.routes() }] as const
    })
    found = new Map(await Promise.all(all))
  })
  afterAll(() => laboratory?.close())

  it.each(PLANS)('brings everybody together with one configuration, behind a router %s', (what, { hairpin }) => {
    expect(found.get(what)?.turnsAround).toBe(hairpin)
    expect(found.get(what)?.routes).toEqual({
      'lan to lan': 'tcp',
      'lan to wan': 'relay',
      'wan to lan': 'relay',
      'wan to wan': 'tcp',
    })
  })
})
