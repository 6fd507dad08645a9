import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { decodeRendezvous, encodeRendezvous, type RendezvousMessage, rendezvous } from '@tryst/protocol'
import { Cluster } from '../src/cluster/cluster.ts'
import { ListeningDevice } from '../src/cluster/listening-device.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { RedisView } from '../src/cluster/redis-view.ts'
import { SITE_HOST } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'
import { TcpClient } from '../src/transcripts/tcp-client.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const { Failure } = rendezvous.PunchHoleResponse
const ANSWER_MS = 3_000
const suite = NO_REDIS === undefined ? describe : describe.skip
const why = NO_REDIS === undefined ? '' : ` (${NO_REDIS})`

let cluster: Cluster | undefined
let view: RedisView | undefined
afterEach(async () => {
  view?.close()
  await cluster?.close()
  cluster = undefined
})

/** Two ID servers that know each other, a device at the first, and a controller there whom it has not answered yet. */
async function startAsked() {
  const started = await Cluster.start({ hbbs: 2, hbbr: 0, env: { RELAY_SERVERS: '127.0.0.9' } })
  cluster = started
  await started.haveMet()
  view = await RedisView.open(started.redis.port)
  const [leaving, staying] = [started.node('hbbs', 0), started.node('hbbs', 1)]
  const device = started.guest(await ListeningDevice.open('127.0.0.21'))
  expect(await device.register(started.server(0))).toBe(0)
  await waitUntil('it is known whose the device is', async () => (await ownerOf(device.id)) === leaving.name)
  const ask = async (index: number) => {
    const controller = started.guest(
      new TcpClient('127.0.0.31', { ip: SITE_HOST, port: started.server(index).port ?? 0 }),
    )
    await controller.open()
    controller.send(encodeRendezvous({ punchHoleRequest: { id: device.id, licenceKey: started.key } }))
    return controller
  }
  const waiting = await ask(0)
  const asked = await device.heard('punchHole')
  return { cluster: started, leaving, staying, device, ask, waiting, asked: asked.punchHole }
}

const ownerOf = async (id: string) => (await view?.ownersByName([id]))?.get(id)

async function answerTo(controller: TcpClient, limitMs = ANSWER_MS): Promise<RendezvousMessage | undefined> {
  const payload = await controller.takeMessage(limitMs)
  return payload && decodeRendezvous(payload)
}

suite(`an ID server that is told to stop while a controller waits there${why}`, () => {
  it('is no device’s node any more at once, and says so', async () => {
    const { leaving, staying, device, waiting } = await startAsked()
    leaving.process.signal('SIGTERM')
    await waitUntil('Redis names nobody for the device', async () => (await ownerOf(device.id)) === undefined, 2_000)
    expect(await view?.leavingNodes()).toEqual([leaving.name])
    expect(leaving.isRunning).toBe(true)
    expect(await staying.says('readyz')).toBe(true)
    waiting.close()
  })

  it('swallows nothing that is asked of its devices elsewhere, and lets them go to another node', async () => {
    const { leaving, cluster, device, ask, waiting } = await startAsked()
    leaving.process.signal('SIGTERM')
    const outcomes: string[] = []
    while (leaving.isRunning && outcomes.length < 40) {
      const before = device.count('punchHole')
      const controller = await ask(1)
      const answer = answerTo(controller)
      // Before the signal has come there, the device is still asked, and hears of it.
      const outcome = await waitUntil(
        'the controller or the device hears of it',
        async () => {
          if (device.count('punchHole') > before) return 'asked'
          return (await Promise.race([answer, undefined]))?.punchHoleResponse ? 'answered' : undefined
        },
        ANSWER_MS,
      )
      if (outcome === 'answered') expect((await answer)?.punchHoleResponse).toMatchObject({ failure: Failure.OFFLINE })
      outcomes.push(outcome)
      controller.close()
    }
    expect(outcomes.at(-1)).toBe('answered')
    // Once it was called offline nobody pretends to ask it.
    expect(outcomes.slice(outcomes.indexOf('answered'))).not.toContain('asked')
    expect(await device.register(cluster.server(1))).toBe(0)
    const before = device.count('punchHole')
    const controller = await ask(1)
    await waitUntil('the device is asked by its new node', () => device.count('punchHole') > before)
    controller.close()
    waiting.close()
  })

  it('still brings the controller the answer that the device gives elsewhere', async () => {
    const { leaving, cluster, device, waiting, asked } = await startAsked()
    leaving.process.signal('SIGTERM')
    await waitUntil('it is leaving', async () => (await view?.leavingNodes())?.includes(leaving.name))
    expect(await device.register(cluster.server(1))).toBe(0)
    const { socketAddr } = asked
    const sent = { socketAddr, id: device.id, relayServer: '127.0.0.9', version: '1.4.0' }
    const answered = answerTo(waiting, 10_000)
    let isAnswered = false
    void answered.then(() => {
      isAnswered = true
    })
    // Nodes give each other 200 ms, which a busy machine may not keep.
    await waitUntil('the controller is answered', async () => {
      const connection = cluster.guest(
        new TcpClient('127.0.0.21', { ip: SITE_HOST, port: cluster.server(1).port ?? 0 }),
      )
      await connection.open()
      connection.send(encodeRendezvous({ punchHoleSent: sent }))
      await connection.ended(ANSWER_MS)
      return isAnswered
    })
    const answer = await answered
    expect(answer?.punchHoleResponse?.socketAddr.length).toBeGreaterThan(0)
    await waitUntil('it ends', () => !leaving.isRunning)
    expect(await ownerOf(device.id)).toBe(cluster.node('hbbs', 1).name)
    waiting.close()
  })
})
