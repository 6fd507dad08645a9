import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Measured, Target } from './job.ts'
import { measureWork } from './measure-window.ts'
import { openRelaySession, type RelaySession } from './relay-session.ts'
import { percentile } from './statistics.ts'

const MESSAGE_BYTES = 128
const WARM_UP_TRIPS = 200
const ANSWER_TIMEOUT_MS = 3000

/**
 * Small messages to and fro, one after the other: first between two sockets of this process, then through the relay.
 * What the relay adds is the difference.
 */
export async function measureRoundTrips(target: Target, seconds: number): Promise<Measured> {
  const direct = await openDirectSession()
  const directUs = await trips(direct, seconds / 2).finally(() => close(direct))

  const relayed = await openRelaySession(target)
  try {
    let relayedUs: Float64Array = new Float64Array()
    const counts = { done: 0, wrong: 0, lost: 0 }
    const measured = await measureWork(counts, target.pids, async () => {
      relayedUs = await trips(relayed, seconds)
      counts.done = WARM_UP_TRIPS + relayedUs.length
    })
    return {
      ...measured,
      roundTrips: {
        p50Us: percentile(relayedUs, 0.5),
        p99Us: percentile(relayedUs, 0.99),
        directP50Us: percentile(directUs, 0.5),
      },
    }
  } finally {
    close(relayed)
  }
}

/** Durations in microseconds, sorted. */
async function trips({ from, to }: RelaySession, seconds: number): Promise<Float64Array> {
  const durationsUs: number[] = []
  const message = Buffer.alloc(MESSAGE_BYTES, 0x17)
  to.on('data', (chunk: Buffer) => to.write(chunk))
  await new Promise<void>((resolve, reject) => {
    let sentAtMs = 0
    let arrived = 0
    let trip = 0
    const endAtMs = performance.now() + seconds * 1000
    const send = () => {
      arrived = 0
      message.writeUInt32LE(trip++)
      sentAtMs = performance.now()
      from.write(message)
    }
    from.setTimeout(ANSWER_TIMEOUT_MS, () => reject(new Error('a message was not returned')))
    from.on('close', () => reject(new Error('the session was closed')))
    from.on('data', (chunk: Buffer) => {
      const isRight = message.compare(chunk, 0, chunk.length, arrived, arrived + chunk.length) === 0
      if (!isRight) return reject(new Error('other bytes came back than were sent'))
      arrived += chunk.length
      if (arrived < MESSAGE_BYTES) return
      const nowMs = performance.now()
      if (trip > WARM_UP_TRIPS) durationsUs.push((nowMs - sentAtMs) * 1000)
      if (nowMs < endAtMs || durationsUs.length === 0) send()
      else resolve()
    })
    send()
  })
  return Float64Array.from(durationsUs).sort()
}

async function openDirectSession(): Promise<RelaySession> {
  const server = createServer({ noDelay: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const from = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, noDelay: true })
  const [to] = await accepted
  server.close()
  from.on('error', () => undefined)
  to.on('error', () => undefined)
  return { from, to }
}

function close({ from, to }: RelaySession): void {
  from.destroy()
  to.destroy()
}
