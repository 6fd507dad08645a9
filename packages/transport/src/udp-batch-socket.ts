import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { NOT_IPV4, packIpv4 } from '@tryst/rendezvous'
import { BATCH, DatagramBatches } from './datagram-batches.ts'
import { type Pausable, pausable } from './pausable-socket.ts'
import { ReceivePace } from './receive-pace.ts'
import { loadUdpCalls, type UdpCalls } from './udp-calls.ts'
import type { DatagramSender, FamilySocket, UdpOptions } from './udp-socket.ts'

/** Among lonely datagrams, one in so many looks whether more are there. */
const LOOK_EVERY = 8
const now = () => performance.now()

/** Batches that are taken before connections have their turn. */
const MAX_BATCHES_A_TURN = 16
/** A look that finds something pays for two that find nothing, up to so many. */
const MAX_CREDIT = 16

/**
 * An IPv4 socket that receives and answers in batches. Node waits for it and reads the first datagram of a wake-up;
 * the others are taken with one call, and the answers to all of them leave with another. That takes under half of the
 * processor time of one call for each (docs/architecture.md, deciding and doing).
 *
 * Node hands out 32 datagrams a turn of the event loop at most and each brings one batch at most, so that connections
 * have their turn too.
 */
export class UdpBatchSocket implements DatagramSender, FamilySocket {
  readonly port: number
  readonly #batches: DatagramBatches
  #closed = false
  #collecting = false
  /** Above 0: lately there was more than one datagram at a time. */
  #credit = 0
  #lonely = 0
  readonly #pace = new ReceivePace()
  readonly #reading: Pausable | undefined
  #pause: NodeJS.Timeout | undefined

  private constructor(
    private readonly socket: Socket,
    calls: UdpCalls,
    fd: number,
    private readonly onDatagram: UdpOptions['onDatagram'],
  ) {
    this.port = socket.address().port
    this.#batches = new DatagramBatches(calls, fd)
    this.#reading = pausable(socket)
  }

  /** Undefined where this cannot be had, also when the port is taken: the portable socket says why. */
  static async open(address: string, options: UdpOptions): Promise<UdpBatchSocket | undefined> {
    const calls = await loadUdpCalls()
    const packed = packIpv4(address)
    if (!calls || packed === NOT_IPV4) return undefined
    const fd = calls.openBound(packed, options.port, options.reusePort ?? false)
    if (fd === undefined) return undefined
    const socket = createSocket({
      type: 'udp4',
      // As in the portable socket: only address literals are sent to.
      lookup: (host, _options, done) => done(null, host, 4),
    })
    try {
      const listening = once(socket, 'listening')
      socket.bind({ fd, exclusive: true })
      await listening
    } catch {
      // Node has not taken it.
      calls.close(fd)
      socket.close()
      return undefined
    }
    // From here on the descriptor is Node's to close. It allows others to bind the port; we don't.
    calls.refuseReuse(fd)
    const opened = new UdpBatchSocket(socket, calls, fd, options.onDatagram)
    socket.on('error', options.onError)
    socket.on('message', (datagram: Buffer, { address: ip, port }: RemoteInfo) => opened.#wake(datagram, ip, port))
    if (options.receiveBufferBytes > 0) socket.setRecvBufferSize(options.receiveBufferBytes)
    return opened
  }

  send(payload: Uint8Array, ip: string, port: number): void {
    if (this.#closed) return
    if (!this.#batches.put(payload, ip, port)) {
      this.#batches.flush() // Datagrams leave in order.
      this.socket.send(payload, port, ip)
    } else if (!this.#collecting) {
      this.#batches.flush()
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#batches.flush()
    this.#closed = true
    clearTimeout(this.#pause)
    await new Promise<void>((resolve) => this.socket.close(resolve))
  }

  #wake(datagram: Buffer, ip: string, port: number): void {
    if (this.#credit === 0 && ++this.#lonely < LOOK_EVERY) {
      if (port !== 0) this.onDatagram(datagram, ip, port, this)
      this.#pauseAfter(1)
      return
    }
    this.#lonely = 0
    this.#collect(() => {
      if (port !== 0) this.onDatagram(datagram, ip, port, this)
      this.#pauseAfter(1 + this.#takeBatch())
    })
  }

  /** Lets datagrams lie for a while when enough of them come. */
  #pauseAfter(received: number): void {
    if (!this.#reading || this.#pause || this.#closed) return
    const ms = this.#pace.pause(received, now)
    if (ms === 0) return
    this.#reading.pause()
    this.#pause = setTimeout(() => this.#resume(), ms)
  }

  #resume(): void {
    this.#pause = undefined
    let received = 0
    this.#collect(() => {
      for (let batches = 0; batches < MAX_BATCHES_A_TURN; batches++) {
        const count = this.#takeBatch()
        received += count
        if (count < BATCH) break
      }
    })
    if (this.#closed) return
    this.#pauseAfter(received)
    if (!this.#pause) this.#reading?.resume()
  }

  /** Answers leave together. */
  #collect(work: () => void): void {
    this.#collecting = true
    try {
      work()
    } finally {
      this.#collecting = false
      if (!this.#closed) this.#batches.flush()
    }
  }

  #takeBatch(): number {
    if (this.#closed) return 0
    const batches = this.#batches
    const count = batches.receive()
    this.#credit = count > 0 ? Math.min(this.#credit + 2, MAX_CREDIT) : Math.max(this.#credit - 1, 0)
    // The callback may close the socket.
    for (let i = 0; i < count && !this.#closed; i++) {
      const { ip, port } = batches.source(i)
      // A datagram from port 0 cannot be answered.
      if (port !== 0) this.onDatagram(batches.payload(i), ip, port, this)
    }
    return count
  }
}
