import { connect, type Socket } from 'node:net'
import { devicePublicKey, punchHoleRequest, punchHoleSent } from './device-messages.ts'
import type { Source } from './fleet.ts'
import type { AskedNode, Connections, Target } from './job.ts'
import type { Load } from './measure-window.ts'
import { takeOffer } from './secure-channel.ts'
import { findField, KEY_EXCHANGE, PUNCH_HOLE, PUNCH_HOLE_RESPONSE, scanFields, scanFrames } from './server-answer.ts'

const CONTROLLERS = 32
/** Those that wait for the server to offer a key are idle most of the time. */
const WAITING_CONTROLLERS = 240
/** Sources whose devices are asked for; more than controllers, so that one is always free. */
export const PUNCHED_SOURCES = 256
/** Of each of those sources. About a thousand devices in all: every signature is made once, then found again. */
export const PUNCHED_DEVICES_PER_SOURCE = 4
const ANSWER_TIMEOUT_MS = 2000
const PUBLIC_KEY_BYTES = 32
/** Addresses that controllers come from. They differ from the devices', or the server would have them meet at home. */
const CONTROLLER_ADDRESSES = 200

export interface PunchOptions {
  readonly target: Target
  readonly sources: readonly Source[]
  /** The server's public key, which controllers present. */
  readonly key: string
  readonly connections: Connections
  readonly asked: AskedNode
  /** How many ask at once. Default: many. */
  readonly controllers?: number
  /** Told how long each punch took, from the request to its answer. */
  readonly onSettled?: (ms: number) => void
}

/** One device that a controller asks for, and what both sides send; made once, used again and again. */
interface Callee {
  readonly device: number
  readonly request: Buffer
  readonly publicKey: Buffer
}

/** Controllers that ask for devices, and the devices that answer: each punch as stock clients do it. */
export class PunchLoad implements Load {
  done = 0
  wrong = 0
  lost = 0
  readonly #options: PunchOptions
  readonly #callees: ReadonlyMap<Source, readonly Callee[]>
  /** Sources that nobody asks for now: a PunchHole does not name the device. */
  readonly #free: Source[]
  readonly #open = new Set<Socket>()
  #running = false
  #turn = 0

  constructor(options: PunchOptions) {
    this.#options = options
    this.#free = options.sources.slice(0, PUNCHED_SOURCES)
    this.#callees = new Map(this.#free.map((source) => [source, calleesOf(source, options.key)]))
  }

  start(): void {
    this.#running = true
    const { connections, controllers = connections === 'encrypted' ? WAITING_CONTROLLERS : CONTROLLERS } = this.#options
    for (let index = 0; index < Math.min(controllers, this.#free.length); index++) this.#startController()
  }

  stop(): void {
    this.#running = false
    for (const socket of this.#open) socket.destroy()
  }

  #startController(): void {
    if (!this.#running) return
    const { target, asked: node, connections, key, onSettled } = this.#options
    const socket = this.#connect(this.#controllerAddress(), node === 'same-node' ? target.port : target.otherPort)
    let asked: Asked | undefined
    let askedMs = 0
    let channel: ReturnType<typeof takeOffer> | undefined
    const ask = () => {
      asked = this.#nextAsked()
      askedMs = performance.now()
      const { request } = asked.callee
      socket.write(channel ? channel.seal(request) : request)
    }
    const begin = (offer: Buffer) => {
      channel = takeOffer(offer, key)
      if (channel) {
        socket.write(channel.answer)
        ask()
      } else socket.destroy()
    }
    const settle = (outcome: 'done' | 'wrong' | 'lost') => {
      if (asked) this.#release(asked)
      asked = undefined
      if (!this.#running) return
      this[outcome]++
      onSettled?.(performance.now() - askedMs)
    }
    const end = (outcome: 'wrong' | 'lost') => {
      if (asked) settle(outcome)
      socket.destroy()
    }
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => end('lost'))
    if (connections !== 'encrypted') socket.on('connect', ask)
    socket.on('data', (chunk: Buffer) => {
      if (connections === 'encrypted' && !channel) return begin(chunk)
      if (!asked) return
      const verdict = judge(channel ? channel.open(chunk) : chunk, asked.callee)
      if (verdict === undefined) return
      settle(verdict)
      if (connections === 'kept' && this.#running) ask()
      else socket.destroy()
    })
    socket.on('close', () => {
      end('wrong')
      this.#startController()
    })
  }

  /** One by one, everybody who asks has an address that nobody had before: what is known of an address is of no use. */
  #controllerAddress(): string {
    const turn = this.#turn
    if (this.#options.controllers === 1) return `127.2.${(turn >>> 8) & 255}.${turn & 255}`
    return `127.2.0.${1 + (turn % CONTROLLER_ADDRESSES)}`
  }

  #nextAsked(): Asked {
    const source = this.#free.shift()
    const callees = source && this.#callees.get(source)
    const callee = callees?.[Math.floor(this.#turn++ / this.#callees.size) % callees.length]
    if (!source || !callee) throw new Error('every device is being asked for')
    source.receive = (datagram) => this.#answer(source, callee, datagram)
    return { source, callee }
  }

  #release({ source }: Asked): void {
    this.#free.push(source)
  }

  /** The device's part: a connection of its own for its one message, from the address that it is registered with. */
  #answer(source: Source, callee: Callee, datagram: Buffer): void {
    const punch = findField(datagram, PUNCH_HOLE)
    const handle = punch && findField(punch, 1)
    if (!punch || !handle) return
    const relayServer = Buffer.from(findField(punch, 2) ?? []).toString('latin1')
    const socket = this.#connect(source.ip, this.#options.target.port)
    socket.on('connect', () => socket.end(punchHoleSent(callee.device, handle, relayServer)))
    socket.resume()
  }

  #connect(localAddress: string, port: number): Socket {
    const socket = connect({ host: this.#options.target.host, port, localAddress, noDelay: true })
    this.#open.add(socket)
    // What breaks is counted where the answer is missing.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#open.delete(socket))
    return socket
  }
}

interface Asked {
  readonly source: Source
  readonly callee: Callee
}

function calleesOf({ firstDevice, devices }: Source, key: string): Callee[] {
  return Array.from({ length: Math.min(PUNCHED_DEVICES_PER_SOURCE, devices) }, (_, index) => {
    const device = firstDevice + index
    return { device, request: punchHoleRequest(device, key), publicKey: devicePublicKey(device) }
  })
}

/** Right is an address together with the signed identity of this very device. Undefined: no answer yet. */
function judge(chunk: Buffer, { publicKey }: Callee): 'done' | 'wrong' | undefined {
  let verdict: 'done' | 'wrong' | undefined
  const isWhole = scanFrames(chunk, (payload) => {
    const response = findField(payload, PUNCH_HOLE_RESPONSE)
    if (!response) {
      if (!findField(payload, KEY_EXCHANGE)) verdict ??= 'wrong'
      return
    }
    let hasAddress = false
    let isSigned = false
    scanFields(response, 0, response.length, (number, start, end) => {
      if (number === 1) hasAddress = end > start
      // A signed identity ends in the device's own key.
      if (number === 2) isSigned = publicKey.compare(response, Math.max(start, end - PUBLIC_KEY_BYTES), end) === 0
    })
    verdict ??= hasAddress && isSigned ? 'done' : 'wrong'
  })
  return isWhole ? verdict : 'wrong'
}
