import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { mangleAddress, type OutgoingRendezvousMessage, rendezvous, unmangleAddress } from '@tryst/protocol'
import { CARRIERS, type Carrier, RawClient } from '../src/attack/raw-client.ts'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'

jest.setTimeout(120_000)

const [DEVICE, CONTROLLER, ATTACKER] = ['127.0.0.2', '127.0.0.3', '127.0.0.4']
const { OK } = rendezvous.RegisterPkResponse.Result
const { ASYMMETRIC, SYMMETRIC } = rendezvous.NatType
const ID = '123456789'
const RELAY = 'evil.example:1'

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`modified clients${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  let cluster: Cluster
  const clients: RawClient[] = []

  beforeAll(async () => {
    cluster = await Cluster.start({ hbbr: 1 })
    await cluster.haveMet()
  })
  afterEach(() => {
    for (const client of clients.splice(0)) client.close()
  })
  afterAll(() => cluster?.close())

  async function open(carrier: Carrier, node: number, localAddress: string): Promise<RawClient> {
    const { ports } = cluster.node('hbbs', node)
    const client = await RawClient.open(carrier, ports, localAddress)
    clients.push(client)
    return client
  }

  /** A device on the first node that is asked by a controller there, and the handle that it is given. */
  async function ask(natType: rendezvous.NatType) {
    const device = await open('udp', 0, DEVICE)
    device.send({ registerPk: { id: ID, uuid: new Uint8Array(36).fill(1), pk: new Uint8Array(32).fill(1) } })
    expect((await device.next('registerPkResponse')).registerPkResponse.result).toBe(OK)
    const controller = await open('tcp', 0, CONTROLLER)
    controller.send({ punchHoleRequest: { id: ID, licenceKey: cluster.key, natType } })
    const { punchHole } = await device.next('punchHole')
    return { controller, handle: Uint8Array.from(punchHole.socketAddr) }
  }

  const forgeries: readonly [string, (handle: Uint8Array) => OutgoingRendezvousMessage][] = [
    [
      'a guessed secret',
      (handle) => ({
        punchHoleSent: {
          socketAddr: mangleAddress(unmangleAddress(handle), 7),
          id: ID,
          relayServer: RELAY,
          version: '1',
        },
      }),
    ],
    [
      'the right handle and another id',
      (socketAddr) => ({ punchHoleSent: { socketAddr, id: '987654321', relayServer: RELAY, version: '1' } }),
    ],
    [
      'an answer of another kind',
      (socketAddr) => ({
        localAddr: { socketAddr, id: ID, localAddr: mangleAddress({ ip: '10.0.0.1', port: 1 }, 1), version: '1' },
      }),
    ],
  ]
  for (const node of [0, 1])
    for (const carrier of CARRIERS)
      it.each(forgeries)(`get no answer to a controller: %s, over ${carrier} at node ${node}`, async (_, forge) => {
        const { controller, handle } = await ask(ASYMMETRIC)
        const attacker = await open(carrier, node, ATTACKER)
        attacker.send(forge(handle))
        if (carrier !== 'udp') await attacker.ended()
        // Datagrams are taken one after the other: what was sent before has been looked at when this is answered.
        else attacker.send({ registerPeer: { id: 'nobody-at-all', serial: 3 } })
        if (carrier === 'udp') await attacker.next('registerPeerResponse')
        const device = await open('tcp', node, DEVICE)
        device.send({ punchHoleSent: { socketAddr: handle, id: ID, relayServer: 'true.example:1', version: '1.4.9' } })
        const { punchHoleResponse } = await controller.next('punchHoleResponse')
        expect(punchHoleResponse.relayServer).toBe('true.example:1')
        expect(unmangleAddress(punchHoleResponse.socketAddr).ip).toBe(DEVICE)
        expect(controller.received).toHaveLength(1)
        expect(attacker.received.filter(({ union }) => union !== 'registerPeerResponse')).toEqual([])
      })

  describe('at the relay', () => {
    const half = async (uuid: string, localAddress: string) => {
      const client = await RawClient.overTcp(cluster.node('hbbr').ports.relay, localAddress)
      clients.push(client)
      client.send({ requestRelay: { uuid, licenceKey: cluster.key, id: ID } })
      return client
    }

    it('find nobody under a uuid that no ID server has introduced', async () => {
      const [one, other] = [await half('guessed', ATTACKER), await half('guessed', ATTACKER)]
      // What they send reaches nobody.
      one.send({ requestRelay: { uuid: 'hello' } })
      // A half waits 18 s for its ticket, which may be on its way.
      await one.ended(40_000)
      await other.ended(40_000)
      expect([...one.received, ...other.received]).toEqual([])
    })

    it('find nobody under the uuid of a session that two have joined already', async () => {
      const uuid = '01234567-89ab-4def-8123-456789abcdef'
      const { controller, handle } = await ask(SYMMETRIC)
      const device = await open('tcp', 0, DEVICE)
      device.send({ relayResponse: { socketAddr: handle, id: ID, uuid, relayServer: '', version: '1.4.9' } })
      expect((await controller.next('relayResponse')).relayResponse.uuid).toBe(uuid)
      const [theirs, ours] = [await half(uuid, DEVICE), await half(uuid, CONTROLLER)]
      theirs.send({ onlineRequest: { id: 'from the device' } })
      expect((await ours.next('onlineRequest')).onlineRequest.id).toBe('from the device')
      const third = await half(uuid, ATTACKER)
      third.send({ onlineRequest: { id: 'from the attacker' } })
      await third.ended()
      theirs.send({ onlineResponse: { states: new Uint8Array(1) } })
      await ours.next('onlineResponse')
      expect(ours.received.map(({ union }) => union)).toEqual(['onlineRequest', 'onlineResponse'])
      expect([...theirs.received, ...third.received]).toEqual([])
    })
  })
})
