import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { forcedRelayRequest, relayResponse, requestRelay } from './device-messages.ts'
import type { Source } from './fleet.ts'
import type { AskedNode, Measured, Target } from './job.ts'
import { measureWork } from './measure-window.ts'
import { PUNCHED_DEVICES_PER_SOURCE, PUNCHED_SOURCES } from './punches.ts'
import { findField, PUNCH_HOLE, RELAY_RESPONSE, scanFrames } from './server-answer.ts'
import { durationsOf } from './statistics.ts'

export interface RelayedSessionsOptions {
  readonly target: Target
  readonly sources: readonly Source[]
  /** The server's public key, which both sides present. */
  readonly key: string
  readonly asked: AskedNode
  readonly count: number
}

const TIMEOUT_MS = 5_000
/** What the device says first, once it is at the relay. */
const GREETING = Buffer.from([0x0c, 0x01, 0x02, 0x03])
/** One that has ended is cleared away before the next begins. */
const PAUSE_MS = 1

/**
 * Sessions over a relay, one after the other, from the controller's first request until it has heard the device through
 * the relay; everybody connects anew, each controller from an address of its own.
 */
export async function measureRelayedSessions(options: RelayedSessionsOptions): Promise<Measured> {
  const { target, sources, count } = options
  const counts = { done: 0, wrong: 0, lost: 0 }
  const tookMs: number[] = []
  const devices = sources.slice(0, PUNCHED_SOURCES).flatMap((source) =>
    Array.from({ length: Math.min(PUNCHED_DEVICES_PER_SOURCE, source.devices) }, (_, index) => ({
      ...{ source, device: source.firstDevice + index },
    })),
  )
  const measured = await measureWork(counts, target.pids, async () => {
    for (let turn = 0; turn < count; turn++) {
      const callee = devices[turn % devices.length]
      if (!callee) throw new Error('there are no devices to ask for')
      const startMs = performance.now()
      const outcome = await session(options, callee, `127.3.${(turn >>> 8) & 255}.${turn & 255}`)
      counts[outcome]++
      tookMs.push(performance.now() - startMs)
      await sleep(PAUSE_MS)
    }
  })
  return { ...measured, durations: durationsOf(tookMs) }
}

async function session(
  { target, key, asked }: RelayedSessionsOptions,
  { source, device }: { readonly source: Source; readonly device: number },
  controllerAddress: string,
): Promise<'done' | 'wrong' | 'lost'> {
  const open: Socket[] = []
  const { host } = target
  const connectTo = async (port: number, localAddress: string) => {
    const socket = connect({ host, port, localAddress, noDelay: true })
    open.push(socket)
    // What breaks shows as a session that never came about.
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }
  const { promise, resolve } = Promise.withResolvers<'done' | 'wrong' | 'lost'>()
  const timer = setTimeout(() => resolve('lost'), TIMEOUT_MS)
  const fail = () => resolve('wrong')

  // The device tells the controller where it waits, then goes there.
  const answer = async (datagram: Buffer) => {
    const punch = findField(datagram, PUNCH_HOLE)
    const handle = punch && findField(punch, 1)
    if (!punch || !handle) return
    const relay = text(findField(punch, 2))
    const uuid = randomUUID()
    const idServer = await connectTo(target.port, source.ip)
    idServer.end(relayResponse(device, handle, uuid, relay))
    const half = await connectTo(portOf(relay), source.ip)
    half.write(requestRelay(uuid, { key }))
    half.write(GREETING)
  }
  source.receive = (datagram) => void answer(datagram).catch(fail)

  const join = async (response: Uint8Array) => {
    const half = await connectTo(portOf(text(findField(response, 3))), controllerAddress)
    half.on('data', (chunk: Buffer) => resolve(chunk.equals(GREETING) ? 'done' : 'wrong'))
    half.on('close', fail)
    half.write(requestRelay(text(findField(response, 2)), { key, device }))
  }
  const controller = await connectTo(asked === 'same-node' ? target.port : target.otherPort, controllerAddress)
  controller.on('data', (chunk: Buffer) => {
    scanFrames(chunk, (payload) => {
      const response = findField(payload, RELAY_RESPONSE)
      if (response) join(response).catch(fail)
    })
  })
  controller.write(forcedRelayRequest(device, key))
  const outcome = await promise
  clearTimeout(timer)
  for (const socket of open) socket.destroy()
  return outcome
}

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1')
const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1))
