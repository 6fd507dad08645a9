import { NOT_IPV4, packIpv4, unpackIpv4 } from '@tryst/rendezvous'
import type { UdpCalls } from './udp-calls.ts'

/** Datagrams that one call receives at most, and answers that are kept back for one call at most. */
export const BATCH = 64
const OUTGOING = 2 * BATCH

/**
 * Room for every datagram that IPv4 can carry: memory that no datagram reached is never taken from the system. The
 * extra bytes keep the slots' beginnings, which is all that most datagrams use, from sharing the same cache lines.
 */
const INCOMING_SLOT_BYTES = 65_536 + 64
/** A longer payload does not go through here. */
const OUTGOING_SLOT_BYTES = 1_024
/** Views of the first bytes of a slot are kept, one for each length, so that a heartbeat makes no garbage. */
const KEPT_VIEW_BYTES = 40

// struct sockaddr_in, struct iovec and struct mmsghdr of 64-bit Linux, little-endian.
const NAME_BYTES = 16
const VECTOR_BYTES = 16
const HEADER_BYTES = 64
const HEADER_RESULT_WORD = 14 // msg_len: bytes of this datagram
const AF_INET = 2

const MSG_DONTWAIT = 0x40
const EINTR = 4
const EAGAIN = 11

const KNOWN_IPS_BITS = 14
/** Up to this length a loop copies faster than a call. */
const SHORT_COPY_BYTES = 24

/**
 * Receives and sends many datagrams with one system call each: the buffers that the kernel writes to and reads from,
 * and the words around them. IPv4 only.
 */
export class DatagramBatches {
  readonly #in = new MessageArray(BATCH, INCOMING_SLOT_BYTES)
  readonly #out = new MessageArray(OUTGOING, OUTGOING_SLOT_BYTES)
  readonly #views: (Buffer | undefined)[] = new Array(BATCH * KEPT_VIEW_BYTES).fill(undefined)
  readonly #ips = new KnownIps()
  readonly #inAddress: number
  readonly #outAddress: number
  #waiting = 0
  /** The datagram that was looked at last; most answers go where it came from. */
  #current = 0
  #currentIp = ''
  #currentPort = 0

  constructor(
    private readonly calls: UdpCalls,
    private readonly fd: number,
  ) {
    this.#inAddress = this.#in.prepare(calls)
    this.#outAddress = this.#out.prepare(calls)
  }

  /** Takes up to BATCH datagrams that are there; 0: none. They are valid until the next call. */
  receive(): number {
    this.#currentPort = 0 // Its slot may be overwritten.
    const count = this.calls.recvmmsg(this.fd, this.#inAddress, BATCH, MSG_DONTWAIT, 0)
    // Whatever is wrong with the socket, its owner hears it from Node, which reads it as well.
    return count > 0 ? count : 0
  }

  /** The bytes of datagram `index` of the last batch, in place. */
  payload(index: number): Buffer {
    const length = this.#in.headers[index * (HEADER_BYTES / 4) + HEADER_RESULT_WORD] as number
    const start = index * INCOMING_SLOT_BYTES
    if (length >= KEPT_VIEW_BYTES) return this.#in.data.subarray(start, start + length)
    const slot = index * KEPT_VIEW_BYTES + length
    let view = this.#views[slot]
    if (view === undefined) {
      view = this.#in.data.subarray(start, start + length)
      this.#views[slot] = view
    }
    return view
  }

  /** Where datagram `index` came from, until another is asked about. */
  source(index: number): { readonly ip: string; readonly port: number } {
    this.#current = index
    this.#currentPort = swap16((this.#in.names[index * (NAME_BYTES / 4)] as number) >>> 16)
    this.#currentIp = this.#ips.text(this.#in.names[index * (NAME_BYTES / 4) + 1] as number)
    this.#source.ip = this.#currentIp
    this.#source.port = this.#currentPort
    return this.#source
  }
  readonly #source = { ip: '', port: 0 }

  /** Copies an answer for the next `flush`. False: it does not fit here and has to go another way. */
  put(payload: Uint8Array, ip: string, port: number): boolean {
    const { length } = payload
    if (length > OUTGOING_SLOT_BYTES || port <= 0 || port > 0xffff) return false
    const { names, data, vectors } = this.#out
    const name = this.#waiting * (NAME_BYTES / 4)
    if (port === this.#currentPort && ip === this.#currentIp) {
      const from = this.#current * (NAME_BYTES / 4)
      names[name] = this.#in.names[from] as number
      names[name + 1] = this.#in.names[from + 1] as number
    } else {
      const packed = packIpv4(ip)
      if (packed === NOT_IPV4) return false
      names[name] = AF_INET | (swap16(port) << 16)
      names[name + 1] = swap32(packed)
    }
    const start = this.#waiting * OUTGOING_SLOT_BYTES
    if (length > SHORT_COPY_BYTES) data.set(payload, start)
    else for (let i = 0; i < length; i++) data[start + i] = payload[i] as number
    vectors[this.#waiting * (VECTOR_BYTES / 4) + 2] = length
    if (++this.#waiting === OUTGOING) this.flush()
    return true
  }

  /**
   * Sends what was put. A datagram that cannot be sent is lost as on the way and the others go on; when the socket's
   * own buffer is full all that is left is lost: clients repeat.
   */
  flush(): void {
    const count = this.#waiting
    this.#waiting = 0
    let sent = 0
    while (sent < count) {
      const result = this.calls.sendmmsg(this.fd, this.#outAddress + sent * HEADER_BYTES, count - sent, MSG_DONTWAIT)
      if (result > 0) {
        sent += result
        continue
      }
      const error = this.calls.errno()
      if (error === EAGAIN) return
      if (error !== EINTR) sent++
    }
  }
}

/**
 * What the kernel takes: headers that point to names and vectors, and vectors that point to slots of bytes. The
 * addresses hold as long as this object is reachable; memory of an ArrayBuffer does not move.
 */
class MessageArray {
  readonly data: Buffer
  readonly names: Uint32Array
  readonly vectors: Uint32Array
  readonly headers: Uint32Array

  constructor(
    private readonly count: number,
    private readonly slotBytes: number,
  ) {
    this.data = Buffer.from(new ArrayBuffer(count * slotBytes))
    this.names = new Uint32Array(new ArrayBuffer(count * NAME_BYTES))
    this.vectors = new Uint32Array(new ArrayBuffer(count * VECTOR_BYTES))
    this.headers = new Uint32Array(new ArrayBuffer(count * HEADER_BYTES))
  }

  /** Fills in the addresses. @returns that of the first header */
  prepare(calls: UdpCalls): number {
    const data = calls.addressOf(this.data)
    const names = calls.addressOf(this.names)
    const vectors = calls.addressOf(this.vectors)
    const vectorWords = new BigUint64Array(this.vectors.buffer)
    const headerWords = new BigUint64Array(this.headers.buffer)
    for (let i = 0; i < this.count; i++) {
      vectorWords[2 * i] = BigInt(data + i * this.slotBytes)
      vectorWords[2 * i + 1] = BigInt(this.slotBytes)
      const header = i * (HEADER_BYTES / 8)
      headerWords[header] = BigInt(names + i * NAME_BYTES)
      headerWords[header + 1] = BigInt(NAME_BYTES)
      headerWords[header + 2] = BigInt(vectors + i * VECTOR_BYTES)
      headerWords[header + 3] = 1n
    }
    return calls.addressOf(this.headers)
  }
}

/** Texts of the addresses that were seen lately, found by number. A newer one takes the place of an older one. */
class KnownIps {
  readonly #numbers = new Uint32Array(1 << KNOWN_IPS_BITS)
  readonly #texts: string[] = new Array(1 << KNOWN_IPS_BITS).fill('0.0.0.0')

  /** @param word the address as the kernel wrote it, read as a little-endian number */
  text(word: number): string {
    const place = Math.imul(word, 0x9e3779b1) >>> (32 - KNOWN_IPS_BITS)
    if (this.#numbers[place] === word) return this.#texts[place] as string
    const text = unpackIpv4(swap32(word))
    this.#numbers[place] = word
    this.#texts[place] = text
    return text
  }
}

const swap16 = (value: number) => ((value & 0xff) << 8) | (value >>> 8)
const swap32 = (value: number) =>
  ((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
