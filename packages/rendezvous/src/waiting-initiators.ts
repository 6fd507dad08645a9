import { type Endpoint, mangleAddress, unmangleAddress } from '@tryst/protocol'
import type { Attempt } from './attempt-recorder.ts'
import type { DeviceAnswer } from './cluster.ts'
import type { ClientConnection } from './connection.ts'
import type { PeerId } from './peer-identity.ts'

/** What the device was sent: only answers that fit it are taken. */
export type AskKind = 'punch' | 'local-address' | 'relay'

/** One device that one controller waits for. */
export interface Ask {
  readonly id: PeerId
  readonly kind: AskKind
  readonly initiator: ClientConnection
  /** `socket_addr` as the device got it: the controller's true address and a secret of ours. */
  readonly handle: Uint8Array
  /** The address in the handle. */
  readonly address: Endpoint
  /** The device's address when it was asked. */
  deviceIp: string
  /** When the controller asked last. */
  askedMs: number
  isAnswered: boolean
  /** `feedback` of the answer, see `Question`. */
  readonly feedback: number
  /** Whether the device was asked to punch by UDP, and has not answered by UDP since. */
  udp: 'not-asked' | 'awaited' | 'answered'
  /** Undefined: it is not recorded. */
  attempt: Attempt | undefined
}

/** What the device is asked, by whom and where. */
export interface Question {
  readonly kind: AskKind
  /** The device will send to the controller's true port. */
  readonly needsTruePort: boolean
  /** The device is told a UDP port of the controller. */
  readonly byUdp: boolean
  readonly deviceIp: string
  /** Not zero: the controller is to tell the server how long the session lives. */
  readonly feedback: number
}

/**
 * Where an ask is kept, until nobody waits for it any more. A table that has grown old and was replaced holds whatever
 * stood in it until the next full collection: so the tables hold slots, and no slot that is done with holds an ask and
 * the connection behind it.
 */
interface Slot {
  ask: Ask | undefined
}

/** Where a connection's asks are kept, oldest first: in itself, for the same reason. */
const ASKS = Symbol('asks of a connection')
type Asking = ClientConnection & { [ASKS]?: Slot[] | undefined }

/** Draws a number of 32 bits that nobody can guess. */
export type RandomUint32 = () => number

/** Devices that one connection may wait for at once; the oldest gives way. Stock clients ask for one. */
const MAX_ASKS_PER_CONNECTION = 8
/** Clients give up after 18 s; a connection that is kept open for other reasons waits no longer than this. */
export const WAIT_FOR_ANSWER_MS = 40_000
/** Devices that were asked to punch by UDP answer at once, or when a datagram was lost 30 ms later. */
const WAIT_FOR_DATAGRAM_MS = 20_000

const FITTING_ANSWERS: Readonly<Record<AskKind, readonly DeviceAnswer['kind'][]>> = {
  punch: ['punch-hole-sent', 'udp-punch-hole-sent', 'relay-response'],
  'local-address': ['local-addr', 'relay-response'],
  relay: ['relay-response'],
}

/**
 * Controllers that wait for a device's answer, found by the handle that the device got (docs/protocol.md, who may
 * answer). They stay until their connection ends, since answers can come twice, but no answer is taken long after the
 * last request.
 *
 * A handle holds the controller's true IP, which devices check against their whitelists, and a secret: for IPv4 the 32
 * bits of `tm`, which come back verbatim in PunchHoleSent and RelayResponse; where the device does not punch to the
 * port, also the port, drawn at random, which even LocalAddr and IPv6 bring back.
 */
export class WaitingInitiators {
  /** By the bytes of the handle, which most answers bring back verbatim: see `keyOf`. */
  readonly #byHandle = new Map<string, Slot>()
  /** Those with a random port, by the address in the handle, which LocalAddr brings back encoded anew. */
  readonly #byAddress = new Map<string, Slot>()
  #size = 0
  #unanswered = 0

  constructor(private readonly random: RandomUint32) {}

  /** Controllers that wait now, those included that have an answer and may get another. */
  get size(): number {
    return this.#size
  }

  /** Requests that no device has answered yet. */
  get unanswered(): number {
    return this.#unanswered
  }

  /** Notes that a connection waits for a device and makes the handle; repeats get the same one. */
  ask(initiator: Asking, id: PeerId, question: Question, nowMs: number): Ask {
    const { kind, needsTruePort, byUdp, deviceIp, feedback } = question
    const udp = byUdp ? 'awaited' : 'not-asked'
    let asks = initiator[ASKS]
    if (!asks) {
      asks = []
      initiator[ASKS] = asks
      this.#size++
    }
    for (const { ask } of asks) {
      if (ask?.id !== id || hasTruePort(ask) !== needsTruePort || ask.kind !== kind) continue
      ask.deviceIp = deviceIp
      ask.askedMs = nowMs
      ask.udp = udp
      return ask
    }
    if (asks.length >= MAX_ASKS_PER_CONNECTION) {
      const oldest = asks.shift()
      if (oldest) this.#forget(oldest)
    }
    const { remote } = initiator
    const address = needsTruePort ? remote : { ip: remote.ip, port: this.#secretPort(remote) }
    const handle = mangleAddress(address, this.random())
    const ask: Ask = {
      id,
      kind,
      initiator,
      handle,
      address,
      deviceIp,
      askedMs: nowMs,
      isAnswered: false,
      feedback,
      udp,
      attempt: undefined,
    }
    const slot: Slot = { ask }
    asks.push(slot)
    // Whoever waits already keeps its place.
    setNew(this.#byHandle, keyOf(ask), slot)
    if (!hasTruePort(ask)) setNew(this.#byAddress, addressKey(address), slot)
    this.#unanswered++
    return ask
  }

  /**
   * The ask that an answer belongs to; undefined when nobody here waits for it. `repeated`: somebody waited for this
   * datagram and has got it.
   *
   * @param isSuspect the handle may have been guessed: only the device's own address proves anything
   */
  match({ kind, handle, id, from }: DeviceAnswer, nowMs: number, isSuspect = false): Ask | 'repeated' | undefined {
    const ask =
      kind === 'local-addr' ? this.#byAddress.get(addressKey(unmangleAddress(handle)))?.ask : this.#find(handle, id)
    if (!ask || !FITTING_ANSWERS[ask.kind].includes(kind)) return undefined
    if (id !== '' && id !== ask.id) return undefined
    if (nowMs - ask.askedMs >= WAIT_FOR_ANSWER_MS) return undefined
    if ((isSuspect || isGuessable(ask)) && from.ip !== ask.deviceIp) return undefined
    if (kind === 'udp-punch-hole-sent') {
      if (!awaitsDatagram(ask, id, from.ip, nowMs)) return undefined
      if (ask.udp === 'answered') return 'repeated'
      ask.udp = 'answered'
    }
    if (!ask.isAnswered) {
      ask.isAnswered = true
      this.#unanswered--
    }
    return ask
  }

  /** The connection has ended. */
  drop(initiator: Asking): void {
    const asks = initiator[ASKS]
    if (!asks) return
    initiator[ASKS] = undefined
    this.#size--
    for (const slot of asks) this.#forget(slot)
  }

  #find(handle: Uint8Array, id: string): Ask | undefined {
    const key = textOf(handle)
    const slot = this.#byHandle.get(key)
    if (slot) return slot.ask
    return handle.length === IPV6_HANDLE_BYTES ? this.#byHandle.get(key + id)?.ask : undefined
  }

  #forget(slot: Slot): void {
    const { ask } = slot
    if (!ask) return
    slot.ask = undefined
    if (!ask.isAnswered) this.#unanswered--
    deleteOwn(this.#byHandle, keyOf(ask), slot)
    if (!hasTruePort(ask)) deleteOwn(this.#byAddress, addressKey(ask.address), slot)
  }

  /**
   * A port other than 0 and the true one that no handle for this address has. Where nearly all are drawn, one that another
   * handle has: that is found by its address alone, the new one by its secret.
   */
  #secretPort({ ip, port: truePort }: Endpoint): number {
    let port = 0
    for (let draws = 0; draws < MAX_DRAWS || port === 0; draws++) {
      const drawn = this.random() & 0xffff
      if (drawn === 0 || drawn === truePort) continue
      port = drawn
      if (!this.#byAddress.has(addressKey({ ip, port }))) break
    }
    return port
  }
}

/** With every tenth port free one in 10^12 handles is not found one by then. */
const MAX_DRAWS = 256

const IPV6_HANDLE_BYTES = 18

function setNew(slots: Map<string, Slot>, key: string, slot: Slot): void {
  if (!slots.has(key)) slots.set(key, slot)
}

function deleteOwn(slots: Map<string, Slot>, key: string, slot: Slot): void {
  if (slots.get(key) === slot) slots.delete(key)
}

const hasTruePort = ({ address, initiator }: Ask) => address.port === initiator.remote.port

/** A handle with the true port of an IPv6 controller holds no secret. */
const isGuessable = (ask: Ask) => ask.handle.length === IPV6_HANDLE_BYTES && hasTruePort(ask)

/** A datagram has to name the device, and to come from its IP: its source address is what the controller will be told. */
const awaitsDatagram = (ask: Ask, id: string, fromIp: string, nowMs: number) =>
  ask.udp !== 'not-asked' && id === ask.id && fromIp === ask.deviceIp && nowMs - ask.askedMs < WAIT_FOR_DATAGRAM_MS

const addressKey = ({ ip, port }: Endpoint) => `${ip}|${port}`

/** One handle is one ask; where it holds no secret those of one connection are told apart by the device's id. */
const keyOf = (ask: Ask) => textOf(ask.handle) + (isGuessable(ask) ? ask.id : '')

/** Longer handles than ours are nobody's and need not be looked at as a whole. */
function textOf(handle: Uint8Array): string {
  const length = Math.min(handle.length, IPV6_HANDLE_BYTES + 1)
  let text = ''
  for (let i = 0; i < length; i++) text += String.fromCharCode(handle[i] as number)
  return text
}
