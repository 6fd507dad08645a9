import { afterEach, describe, expect, it, jest } from '@jest/globals'
import type { DoctorRun } from '../src/doctor/doctor.ts'
import { dropAt, RemoteServer, type RemoteServerOptions } from '../src/doctor/remote-server.ts'
import { NO_NAMESPACES, removeOrphanedNamespaces } from '../src/site/namespace.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const describeHere = NO_NAMESPACES === undefined ? describe : describe.skip
const skipped = NO_NAMESPACES === undefined ? '' : ` (${NO_NAMESPACES})`

let remote: RemoteServer | undefined
afterEach(async () => {
  await remote?.close()
  remote = undefined
})

async function start(options?: RemoteServerOptions): Promise<RemoteServer> {
  removeOrphanedNamespaces()
  remote = await RemoteServer.start(options)
  return remote
}

/** Nothing else is found: everything else follows from it, or is in order. */
function expectOnly(run: DoctorRun, code: string): void {
  expect({ faults: run.faults, status: run.status, output: run.output }).toMatchObject({ faults: [code], status: 1 })
}

describeHere(`tryst doctor on another machine${skipped}`, () => {
  it('finds nothing wrong with a healthy server', async () => {
    const { status, faults, leftOut } = await (await start()).examine()
    expect({ status, faults, leftOut }).toEqual({ status: 0, faults: [], leftOut: [] })
  })

  it('finds that UDP is closed', async () => {
    const at = await start()
    at.drop('input', 'udp dport 21116')
    expectOnly(await at.examine(), 'udp-closed')
  })

  it('finds that UDP works one way only', async () => {
    const at = await start()
    at.drop('output', 'udp sport 21116')
    expectOnly(await at.examine(), 'udp-one-way')
  })

  it('finds a relay that is localhost to everybody', async () => {
    expectOnly(await (await start({ hbbs: { RELAY_SERVERS: 'localhost' } })).examine(), 'relay-loopback')
  })

  it('finds a relay with the address of a container', async () => {
    expectOnly(await (await start({ hbbs: { RELAY_SERVERS: '172.18.0.3:21117' } })).examine(), 'relay-private')
  })

  it('finds that 21115 is closed', async () => {
    const at = await start()
    at.drop('input', 'tcp dport 21115')
    const run = await at.examine()
    expectOnly(run, 'port-closed')
    expect(run.findings.find(({ code }) => code === 'port-closed')?.what).toContain('21115')
  })

  it('finds that only half of the ports were moved', async () => {
    const at = await start({ hbbs: { PORT: '31116' } })
    expectOnly(await at.examine(at.ip, at.operator, '--port', '31116'), 'ports-half-moved')
  })

  it('finds that the network of a container hides where clients come from', async () => {
    expectOnly(await (await start({ network: 'hiding' })).examine(), 'sources-hidden')
  })

  describe('in the network of the server, where the router leads nobody back in,', () => {
    const PUBLIC_IP = '198.51.100.5'
    const startInside = async () => {
      const at = await start({
        ip: '192.168.7.10',
        operatorIp: '192.168.7.20',
        hbbs: { PUBLIC_HOST: PUBLIC_IP },
      })
      // Each sends what is for outside to the other, which lets nothing through.
      for (const [place, via] of [
        [at.operator, '192.168.7.10'],
        [at.server, '192.168.7.20'],
      ] as const) {
        place.ip('route', 'add', 'default', 'via', via)
        dropAt(place, 'prerouting', `ip daddr ${PUBLIC_IP}`)
      }
      return at
    }

    it('finds that the relay cannot be reached by its public address', async () => {
      expectOnly(await (await startInside()).examine(), 'hairpin-missing')
    })

    it('finds that the server cannot be reached by it, on the server itself', async () => {
      const at = await startInside()
      expectOnly(await at.examine(PUBLIC_IP, at.server), 'hairpin-missing')
    })
  })

  it('finds that no port is open where nobody listens', async () => {
    const at = await start()
    expectOnly(await at.examine(at.ip, at.operator, '--port', '41116'), 'server-unreachable')
  })

  it('finds that a name stands for nothing', async () => {
    const at = await start()
    expectOnly(await at.examine('hbbs.invalid'), 'name-unresolved')
  })
})
