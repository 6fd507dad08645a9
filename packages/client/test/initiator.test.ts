import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { decodeRendezvous, encodeRendezvous, mangleAddress, type OutgoingRendezvousMessage } from '@tryst/protocol'
import { Controller } from '../src/controller.ts'
import { StandIn } from './stand-in.ts'
import { SteadyClock } from './steady-clock.ts'

const NOBODY = mangleAddress({ ip: '127.0.0.1', port: 1 }, 1)
let clock: SteadyClock
beforeAll(() => {
  clock = new SteadyClock()
})
afterAll(() => clock.stop())

const closers: (() => Promise<void>)[] = []
afterEach(() => Promise.all(closers.splice(0).map((close) => close())))

/** A controller and its server, which answers the first message of each connection with what `answer` says. */
async function controllerAt(
  answer: (kind: string | undefined, count: number) => OutgoingRendezvousMessage | 'close' | undefined,
) {
  const standIn = new StandIn('127.0.0.1', () => clock.now())
  const port = await standIn.listen()
  const controller = new Controller({ server: { host: '127.0.0.1', port, key: '' }, clock })
  let isOver = false
  let handled = 0
  const serving = (async () => {
    while (!isOver) {
      await standIn.until(
        () => isOver || standIn.observed.length > handled,
        () => 'a message',
        60_000,
      )
      const observed = standIn.observed[handled++]
      if (observed?.kind !== 'message') continue
      const count = standIn.observed.slice(0, handled).filter(({ kind }) => kind === 'message').length
      const reply = answer(decodeRendezvous(Buffer.from(observed.hex ?? '', 'hex')).union, count)
      const peer = standIn.peers.get(observed.label)
      if (reply === 'close') peer?.end()
      else if (reply) peer?.send(encodeRendezvous(reply))
    }
  })()
  closers.push(async () => {
    await controller.close()
    isOver = true
    standIn.wake()
    await serving
    await standIn.close()
  })
  return { controller, standIn }
}

// Sockets and child processes take their time on a busy machine.
jest.setTimeout(60_000)

describe('way of a controller to a device', () => {
  it('ends with the reason that the server gives against the relay', async () => {
    const { controller } = await controllerAt((kind) =>
      kind === 'punchHoleRequest'
        ? { punchHoleResponse: { socketAddr: NOBODY, relayServer: '127.0.0.1:1' } }
        : { relayResponse: { refuseReason: 'No relay for you' } },
    )
    await expect(controller.connect('111222333')).rejects.toMatchObject({
      failure: 'relayRefused',
      message: 'Failed to connect via relay server: No relay for you: Please try later',
      retries: false,
    })
  })

  it('asks for the relay again, with a new pairing, where the server closes without an answer', async () => {
    const { controller, standIn } = await controllerAt((kind) =>
      kind === 'punchHoleRequest' ? { punchHoleResponse: { socketAddr: NOBODY, relayServer: '127.0.0.1:1' } } : 'close',
    )
    await expect(controller.connect('111222333')).rejects.toMatchObject({ failure: 'relayTimeout' })
    const pairings = standIn.observed
      .filter(({ kind }) => kind === 'message')
      .map(({ hex }) => decodeRendezvous(Buffer.from(hex ?? '', 'hex')).requestRelay?.uuid)
      .filter((uuid) => uuid)
    expect(new Set(pairings).size).toBe(3)
  })

  it('says that there is no way when the direct one fails and no relay is named', async () => {
    const { controller } = await controllerAt(() => ({ punchHoleResponse: { socketAddr: NOBODY } }))
    await expect(controller.connect('111222333')).rejects.toMatchObject({ failure: 'noPath' })
  })

  it('says so when the relay cannot be reached', async () => {
    const { controller } = await controllerAt(() => ({ relayResponse: { relayServer: '127.0.0.1:1', uuid: 'u' } }))
    await expect(controller.connect('111222333')).rejects.toMatchObject({ failure: 'relayUnreachable' })
  })

  it('is given up at once when it is no longer wanted', async () => {
    const { controller, standIn } = await controllerAt(() => undefined)
    const wanted = new AbortController()
    const attempt = controller.connect('111222333', { signal: wanted.signal })
    const outcome = expect(attempt).rejects.toMatchObject({ failure: 'aborted', retries: false })
    await standIn.until(
      () => standIn.observed.some(({ kind }) => kind === 'message'),
      () => 'the request',
      10_000,
    )
    const abortedAtMs = clock.now()
    wanted.abort()
    await outcome
    expect(clock.now() - abortedAtMs).toBeLessThan(2_500)
  })

  it('ends when the controller is closed', async () => {
    const { controller, standIn } = await controllerAt(() => undefined)
    const outcome = expect(controller.connect('111222333')).rejects.toMatchObject({ failure: 'aborted' })
    await standIn.until(
      () => standIn.observed.some(({ kind }) => kind === 'message'),
      () => 'the request',
      10_000,
    )
    await controller.close()
    await outcome
  })

  it('says so when the ID server cannot be reached', async () => {
    const controller = new Controller({ server: { host: '127.0.0.1', port: 1 } })
    await expect(controller.connect('111222333')).rejects.toMatchObject({ failure: 'serverUnreachable' })
    await controller.close()
  })
})
