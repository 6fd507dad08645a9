import { setTimeout as sleep } from 'node:timers/promises'
import type { Source } from './fleet.ts'
import type { Measured } from './job.ts'
import { measureWork } from './measure-window.ts'
import { readRegistrationAnswer } from './server-answer.ts'

/** Answers to what was sent last come within that. */
const GRACE_MS = 100

/** Heartbeats as a fleet sends them: each device once in a while, at a time of its own, whatever the server does. */
export async function measurePacedHeartbeats(
  sources: readonly Source[],
  serverPids: readonly number[],
  { everySeconds, seconds }: { readonly everySeconds: number; readonly seconds: number },
): Promise<Measured> {
  const counts = { done: 0, wrong: 0, lost: 0 }
  for (const source of sources)
    source.receive = (datagram) => {
      if (readRegistrationAnswer(datagram) === 'known') counts.done++
      else counts.wrong++
    }
  const turns = turnsOf(sources)
  const perMs = turns.length / (everySeconds * 1000)
  return measureWork(counts, serverPids, async () => {
    const startMs = performance.now()
    let sent = 0
    for (let ms = 0; ms < seconds * 1000; ms = performance.now() - startMs) {
      for (; sent < ms * perMs; sent++) turns[sent % turns.length]?.()
      await sleep(1)
    }
    await sleep(GRACE_MS)
    counts.lost += sent - counts.done - counts.wrong
  })
}

/** One heartbeat of each device; neighbours in time are of different addresses. */
function turnsOf(sources: readonly Source[]): (() => void)[] {
  const turns: (() => void)[] = []
  const most = Math.max(...sources.map(({ devices }) => devices))
  for (let device = 0; device < most; device++)
    for (const { heartbeats, socket } of sources) {
      const datagram = heartbeats[device]
      if (datagram) turns.push(() => socket.send(datagram))
    }
  return turns
}
