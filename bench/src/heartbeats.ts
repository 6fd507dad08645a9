import type { Source } from './fleet.ts'
import type { Load } from './measure-window.ts'
import { readRegistrationAnswer } from './server-answer.ts'

/** Lanes work side by side, each with datagrams of its own under way: 256 in all, which no receive buffer drops. */
const MAX_LANES = 64
const UNDER_WAY_PER_LANE = 4
const ANSWER_TIMEOUT_MS = 1000

/** Heartbeats of a registered fleet, device after device, each answer followed by the next heartbeat. */
export class HeartbeatLoad implements Load {
  done = 0
  wrong = 0
  lost = 0
  readonly #lanes: readonly Lane[]
  #watch: NodeJS.Timeout | undefined

  constructor(sources: readonly Source[]) {
    const lanes = Math.min(MAX_LANES, sources.length)
    this.#lanes = Array.from({ length: lanes }, (_, lane) => {
      return new Lane(sources.filter((_source, index) => index % lanes === lane))
    })
  }

  start(): void {
    for (const lane of this.#lanes) lane.start((datagram) => this.#onAnswer(lane, datagram))
    this.#watch = setInterval(() => this.#refill(), ANSWER_TIMEOUT_MS / 2)
  }

  stop(): void {
    clearInterval(this.#watch)
    for (const lane of this.#lanes) lane.stop()
  }

  #onAnswer(lane: Lane, datagram: Buffer): void {
    if (readRegistrationAnswer(datagram) === 'known') this.done++
    else this.wrong++
    lane.sendNext()
  }

  #refill(): void {
    for (const lane of this.#lanes) this.lost += lane.refillWhenSilent()
  }
}

class Lane {
  readonly #sources: readonly Source[]
  #source = 0
  #device = 0
  #sent = 0
  #sentAtLastLook = 0
  #running = false

  constructor(sources: readonly Source[]) {
    this.#sources = sources
  }

  start(onAnswer: (datagram: Buffer) => void): void {
    this.#running = true
    for (const source of this.#sources) source.receive = onAnswer
    this.#fill()
  }

  stop(): void {
    this.#running = false
  }

  sendNext(): void {
    const source = this.#sources[this.#source]
    const datagram = source?.heartbeats[this.#device]
    if (!this.#running || !source || !datagram) return
    if (++this.#device === source.devices) {
      this.#device = 0
      this.#source = (this.#source + 1) % this.#sources.length
    }
    this.#sent++
    source.socket.send(datagram)
  }

  /** Starts anew when no answer has come since the last look; returns how many were lost then. */
  refillWhenSilent(): number {
    const isSilent = this.#sent === this.#sentAtLastLook
    if (isSilent) this.#fill()
    this.#sentAtLastLook = this.#sent
    return isSilent ? UNDER_WAY_PER_LANE : 0
  }

  #fill(): void {
    for (let index = 0; index < UNDER_WAY_PER_LANE; index++) this.sendNext()
  }
}

/** One heartbeat of each of the first devices of every source, so that the server has heard of them just now. */
export async function refreshDevices(sources: readonly Source[], devicesPerSource: number): Promise<void> {
  await Promise.all(sources.map((source) => refreshSource(source, Math.min(devicesPerSource, source.devices))))
}

function refreshSource(source: Source, devices: number): Promise<void> {
  let device = 0
  return new Promise((resolve, reject) => {
    const fail = (why: string) => () => reject(new Error(`the device at ${source.ip} ${why}`))
    const timer = setTimeout(fail('got no answer to its heartbeat'), 10 * ANSWER_TIMEOUT_MS)
    const next = () => {
      if (device < devices) return source.socket.send(source.heartbeats[device++] as Buffer)
      clearTimeout(timer)
      resolve()
    }
    source.receive = (datagram) => {
      if (readRegistrationAnswer(datagram) === 'known') next()
      // What is still under way for the device that asked before belongs to another flow.
      else if (readRegistrationAnswer(datagram) !== 'other') fail('is not known to the server')()
    }
    next()
  })
}
