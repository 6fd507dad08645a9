import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { mangleAddress } from '@tryst/protocol'
import type { Cluster, DeviceAnswer, LocalNode, PushOutcome } from '../cluster.ts'
import type { NodeId, PeerId } from '../peer-identity.ts'
import { eventually } from './eventually.ts'

/** The nodes of one server that have not joined yet. */
export interface ClusterFixture {
  readonly clusters: readonly Cluster[]
  /** Lets go of everything, whether or not the nodes have left. */
  dispose(): Promise<void>
}

const laptop = '123456789' as PeerId
const desktop = '987654321' as PeerId
const initiatorIp = '198.51.100.4'

/** A node whose devices and initiators are what a test says. */
class ScriptedNode implements LocalNode {
  readonly forgotten: PeerId[] = []
  readonly dismissed: PeerId[] = []
  readonly taken: PeerId[] = []
  readonly pushed: { id: PeerId; message: Uint8Array }[] = []
  readonly answers: DeviceAnswer[] = []
  readonly silent = new Set<PeerId>()
  waitsForAnswers = false
  readonly #devices = new Map<PeerId, string>()

  constructor(readonly cluster: Cluster) {}

  /** @param via the connection that brought the device; undefined: UDP */
  async hear(id: PeerId, ip: string, via?: string): Promise<void> {
    this.#devices.set(id, ip)
    await this.cluster.claim(id, ip, via)
  }

  async lose(id: PeerId, via?: string): Promise<void> {
    this.#devices.delete(id)
    await this.cluster.release(id, via)
  }

  async retire(): Promise<void> {
    this.#devices.clear()
    await this.cluster.retire()
  }

  async wait(): Promise<void> {
    this.waitsForAnswers = true
    await this.cluster.awaitAnswers(initiatorIp)
  }

  holds(id: PeerId): string | undefined {
    return this.#devices.get(id)
  }

  *devices(): Iterable<{ id: PeerId; ip: string }> {
    for (const [id, ip] of this.#devices) yield { id, ip }
  }

  ticketFor(): undefined {
    return undefined
  }

  hasDeviceInNetwork(ip: string): boolean {
    return [...this.#devices.values()].includes(ip)
  }

  took(id: PeerId): void {
    this.taken.push(id)
  }

  dismiss(id: PeerId): void {
    this.#devices.delete(id)
    this.dismissed.push(id)
  }

  forget(id: PeerId): void {
    this.#devices.delete(id)
    this.forgotten.push(id)
  }

  push(id: PeerId, message: Uint8Array): PushOutcome {
    if (!this.#devices.has(id)) return 'not-mine'
    if (this.silent.has(id)) return 'silent'
    this.pushed.push({ id, message: Uint8Array.from(message) })
    return 'pushed'
  }

  async answer(answer: DeviceAnswer): Promise<boolean> {
    if (this.waitsForAnswers) this.answers.push(answer)
    return this.waitsForAnswers
  }
}

/** What every Cluster of two or more nodes does. */
export function clusterContract(name: string, createFixture: (nodes: number) => Promise<ClusterFixture>): void {
  describe(`${name} as a cluster`, () => {
    let fixture: ClusterFixture
    let first: ScriptedNode
    let second: ScriptedNode
    let third: ScriptedNode

    beforeEach(async () => {
      fixture = await createFixture(3)
      const [one, two, three] = fixture.clusters
      if (!one || !two || !three) throw new Error('the fixture has made fewer than three nodes')
      first = new ScriptedNode(one)
      second = new ScriptedNode(two)
      third = new ScriptedNode(three)
      for (const node of [first, second, third]) await node.cluster.join(node)
    })

    afterEach(async () => {
      for (const node of [first, second, third]) await node.cluster.leave()
      await fixture.dispose()
    })

    async function locate(node: ScriptedNode, id: PeerId) {
      const [location] = await node.cluster.locate([id])
      return location
    }

    async function nodeThatHolds(id: PeerId, asker: ScriptedNode): Promise<NodeId> {
      const location = await locate(asker, id)
      if (!location) throw new Error(`nobody holds ${id}`)
      return location.node
    }

    it('finds a device in a network, whichever other node hears it', async () => {
      await second.hear(laptop, '203.0.113.7')
      await eventually(async () => {
        expect(await first.cluster.hasDeviceInNetwork('203.0.113.7')).toBe(true)
        expect(await third.cluster.hasDeviceInNetwork('203.0.113.7')).toBe(true)
      })
      expect(await first.cluster.hasDeviceInNetwork('203.0.113.8')).toBe(false)
    })

    it('tells every other node that a device was removed', async () => {
      await second.hear(laptop, '203.0.113.7')
      await first.cluster.dismiss(laptop)
      expect(second.dismissed).toEqual([laptop])
      expect(third.dismissed).toEqual([laptop])
      expect(second.holds(laptop)).toBeUndefined()
    })

    it('is not alone, and not cut off', () => {
      expect(first.cluster.isAlone).toBe(false)
      expect(first.cluster.isCutOff).toBe(false)
    })

    it('finds a device that nobody holds nowhere', async () => {
      expect(await first.cluster.locate([laptop, desktop])).toEqual([undefined, undefined])
      expect(await first.cluster.locate([])).toEqual([])
    })

    it('finds a device at the node that claimed it, from all others, with its address', async () => {
      await first.hear(laptop, '203.0.113.7')
      expect(await locate(second, laptop)).toEqual({ node: expect.any(String), ip: '203.0.113.7' })
      expect(await locate(third, laptop)).toEqual(await locate(second, laptop))
    })

    it('answers for many devices in the order of the question', async () => {
      await first.hear(laptop, '203.0.113.7')
      await second.hear(desktop, '2001:db8::b')
      const found = await third.cluster.locate([desktop, 'nobody' as PeerId, laptop, desktop])
      expect(found.map((location) => location?.ip)).toEqual(['2001:db8::b', undefined, '203.0.113.7', '2001:db8::b'])
      expect(found[0]?.node).not.toBe(found[2]?.node)
    })

    it('moves a device to the node that claimed it last and tells the former one to forget it', async () => {
      await first.hear(laptop, '203.0.113.7')
      const before = await nodeThatHolds(laptop, third)
      await second.hear(laptop, '203.0.113.8')
      await eventually(() => expect(first.forgotten).toEqual([laptop]))
      expect(await locate(third, laptop)).toEqual({ node: expect.any(String), ip: '203.0.113.8' })
      expect(await nodeThatHolds(laptop, third)).not.toBe(before)
      expect(second.forgotten).toEqual([])
      expect(third.forgotten).toEqual([])
    })

    it('tells a node whose claim takes a device from another one, and no other', async () => {
      await first.hear(laptop, '203.0.113.7')
      await first.hear(laptop, '203.0.113.9')
      await second.hear(desktop, '203.0.113.8')
      expect([first.taken, second.taken]).toEqual([[], []])
      await second.hear(laptop, '203.0.113.8')
      await eventually(() => expect(second.taken).toEqual([laptop]))
      expect(first.taken).toEqual([])
      await eventually(() => expect(first.forgotten).toEqual([laptop]))
      await first.hear(laptop, '203.0.113.7')
      await eventually(() => expect(first.taken).toEqual([laptop]))
      expect(third.taken).toEqual([])
    })

    it('moves a device between UDP at one node and a connection at another, as often as it likes', async () => {
      for (let round = 1; round <= 3; round++) {
        await first.hear(laptop, '203.0.113.7')
        await eventually(() => expect(second.forgotten).toHaveLength(round - 1))
        await second.hear(laptop, '203.0.113.7', `tcp-${round}`)
        await eventually(() => expect(first.forgotten).toHaveLength(round))
        expect(await locate(third, laptop)).toMatchObject({ ip: '203.0.113.7' })
        expect(await locate(second, laptop)).toBeUndefined()
      }
      // What the first node finds out late changes nothing.
      await first.lose(laptop)
      expect(await locate(third, laptop)).toMatchObject({ ip: '203.0.113.7' })
      await second.lose(laptop, 'tcp-3')
      expect(await locate(third, laptop)).toBeUndefined()
    })

    it('tells nobody to forget a device that is claimed again where it was', async () => {
      await first.hear(laptop, '203.0.113.7')
      await first.hear(laptop, '203.0.113.9')
      expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.9' })
      expect(first.forgotten).toEqual([])
    })

    it('finds a released device nowhere', async () => {
      await first.hear(laptop, '203.0.113.7')
      await first.lose(laptop)
      expect(await locate(second, laptop)).toBeUndefined()
    })

    it('leaves the claim of another node alone when the former one releases late', async () => {
      await first.hear(laptop, '203.0.113.7')
      await second.hear(laptop, '203.0.113.8')
      await first.lose(laptop)
      expect(await locate(third, laptop)).toMatchObject({ ip: '203.0.113.8' })
      expect(second.forgotten).toEqual([])
    })

    it('leaves a claim by way of a newer connection to the same node alone when the older one closes late', async () => {
      await first.hear(laptop, '203.0.113.7', 'connection-1')
      await first.hear(laptop, '203.0.113.8', 'connection-2')
      await first.cluster.release(laptop, 'connection-1')
      expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.8' })
      await first.lose(laptop, 'connection-2')
      expect(await locate(second, laptop)).toBeUndefined()
    })

    it('keeps a claim over UDP when a connection closes, and the other way round', async () => {
      await first.hear(laptop, '203.0.113.7', 'connection-1')
      await first.hear(laptop, '203.0.113.8')
      await first.cluster.release(laptop, 'connection-1')
      expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.8' })
      await first.hear(laptop, '203.0.113.7', 'connection-2')
      await first.cluster.release(laptop)
      expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.7' })
    })

    it('leaves a device alone that another node holds, whatever connection the late release names', async () => {
      await first.hear(laptop, '203.0.113.7', 'connection-1')
      await second.hear(laptop, '203.0.113.8', 'connection-1')
      await first.lose(laptop, 'connection-1')
      expect(await locate(third, laptop)).toMatchObject({ ip: '203.0.113.8' })
      expect(second.forgotten).toEqual([])
    })

    it('brings a device back and forth, and tells each former node', async () => {
      for (let round = 1; round <= 3; round++) {
        await first.hear(laptop, '203.0.113.7')
        await eventually(() => expect(second.forgotten).toHaveLength(round - 1))
        await second.hear(laptop, '203.0.113.8')
        await eventually(() => expect(first.forgotten).toHaveLength(round))
        expect(await locate(third, laptop)).toMatchObject({ ip: '203.0.113.8' })
      }
    })

    it('has one owner in the end when two nodes claim at the same moment', async () => {
      await Promise.all([first.hear(laptop, '203.0.113.7'), second.hear(laptop, '203.0.113.8')])
      await eventually(() => expect(first.forgotten.length + second.forgotten.length).toBe(1))
      const ip = first.forgotten.length === 0 ? '203.0.113.7' : '203.0.113.8'
      expect(await locate(third, laptop)).toMatchObject({ ip })
    })

    it('takes a device back that was released', async () => {
      await first.hear(laptop, '203.0.113.7')
      await first.lose(laptop)
      await first.hear(laptop, '203.0.113.7')
      expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.7' })
    })

    it('brings a message to a device through the node that holds it', async () => {
      await first.hear(laptop, '203.0.113.7')
      const message = Uint8Array.from({ length: 256 }, (_, index) => index)
      expect(await second.cluster.push(await nodeThatHolds(laptop, second), laptop, message)).toBe('pushed')
      expect(first.pushed).toEqual([{ id: laptop, message }])
      expect(third.pushed).toEqual([])
    })

    it('says when the device has gone silent there, or is not there any more', async () => {
      await first.hear(laptop, '203.0.113.7')
      const node = await nodeThatHolds(laptop, second)
      first.silent.add(laptop)
      expect(await second.cluster.push(node, laptop, new Uint8Array(1))).toBe('silent')
      await third.hear(laptop, '203.0.113.7')
      await eventually(() => expect(first.forgotten).toEqual([laptop]))
      expect(await second.cluster.push(node, laptop, new Uint8Array(1))).toBe('not-mine')
    })

    describe('answers of devices', () => {
      const answer: DeviceAnswer = {
        kind: 'punch-hole-sent',
        handle: mangleAddress({ ip: initiatorIp, port: 40_000 }, 0x01020304),
        id: 'äöü 名',
        message: Uint8Array.from({ length: 256 }, (_, index) => index),
        from: { ip: '203.0.113.7', port: 50_000 },
      }

      it('come to the node where the initiator waits, unchanged', async () => {
        await second.wait()
        const kinds = ['punch-hole-sent', 'udp-punch-hole-sent', 'local-addr', 'relay-response'] as const
        const answers = kinds.map((kind) => ({ ...answer, kind }))
        for (const one of answers) expect(await first.cluster.answer(one)).toBe(true)
        expect(second.answers).toEqual(answers)
        expect(third.answers).toEqual([])
      })

      it('come to the one of several nodes that knows the handle', async () => {
        await second.wait()
        await third.wait()
        second.waitsForAnswers = false
        expect(await first.cluster.answer(answer)).toBe(true)
        expect(third.answers).toEqual([answer])
      })

      it('reach nobody where nobody waits', async () => {
        expect(await first.cluster.answer(answer)).toBe(false)
        await second.wait()
        second.waitsForAnswers = false
        expect(await first.cluster.answer(answer)).toBe(false)
      })
    })

    describe('a node that retires', () => {
      const answer: DeviceAnswer = {
        ...{ kind: 'punch-hole-sent', handle: mangleAddress({ ip: initiatorIp, port: 40_000 }, 7), id: laptop },
        ...{ message: new Uint8Array([1]), from: { ip: '203.0.113.7', port: 50_000 } },
      }

      it('holds no device for the others, which may hold them at once', async () => {
        await first.hear(laptop, '203.0.113.7')
        await first.hear(desktop, '203.0.113.8')
        const node = await nodeThatHolds(laptop, second)
        await first.retire()
        await first.retire()
        expect(await second.cluster.locate([laptop, desktop])).toEqual([undefined, undefined])
        expect(await third.cluster.push(node, laptop, new Uint8Array([1]))).toBe('not-mine')
        await third.hear(laptop, '203.0.113.7')
        expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.7' })
        await first.cluster.leave()
        expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.7' })
      })

      it('still gets what arrives elsewhere for those who wait with it, and brings what arrives there', async () => {
        await first.wait()
        await first.retire()
        expect(await second.cluster.answer(answer)).toBe(true)
        expect(first.answers).toEqual([answer])
        await third.wait()
        first.waitsForAnswers = false
        expect(await first.cluster.answer(answer)).toBe(true)
        expect(third.answers).toEqual([answer])
      })
    })

    it('takes the devices of a node that leaves for offline', async () => {
      await first.hear(laptop, '203.0.113.7')
      await second.hear(desktop, '203.0.113.8')
      await first.cluster.leave()
      await first.cluster.leave()
      expect(await third.cluster.locate([laptop, desktop])).toEqual([
        undefined,
        { node: expect.any(String), ip: '203.0.113.8' },
      ])
      await third.hear(laptop, '203.0.113.7')
      expect(first.forgotten).toEqual([])
      expect(await locate(second, laptop)).toMatchObject({ ip: '203.0.113.7' })
    })
  })
}
