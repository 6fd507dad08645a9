import type { Server } from 'node:net'
import { type Endpoint, encodeFrame, normaliseIp, writeFrame } from '@tryst/protocol'
import type { AcceptedStream, StreamOwner } from './accepted-stream.ts'
import { WAITING_FRAME_BYTES } from './unsent-count.ts'

/** What the handle of a TCP connection inside Node has, as far as it is used here. */
interface TcpHandle {
  /** Called after each read, with its result in `Inside.streamBaseState`. */
  onread: (this: TcpHandle) => void
  useUserBuffer(buffer: Uint8Array): void
  readStart(): number
  /** Tries to write at once; what is left is written later, and `oncomplete` called then. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
  getpeername(out: PeerName): number
  setNoDelay(on: boolean): number
  close(): void
  /** Ours. */
  stream?: RawStream | undefined
}

interface PeerName {
  address?: string
  port?: number
}

interface WriteRequest {
  oncomplete?: (this: WriteRequest, status: number) => void
  /** Ours. */
  stream?: RawStream
  cost?: number
  /** Memory that is read until the write is done: nothing else holds it. */
  frame?: Uint8Array
}

interface ListeningHandle {
  onconnection: (status: number, handle: TcpHandle | undefined) => void
}

/** What is used of Node's binding `stream_wrap`. */
interface Inside {
  readonly WriteWrap: new () => WriteRequest
  /** Results of the last call. */
  readonly streamBaseState: Int32Array
  readonly kReadBytesOrError: number
  readonly kLastWriteWasAsync: number
}

/** libuv's name for the end of what the other side sends. */
const UV_EOF = -4095
const READ_BYTES = 64 * 1024
/** Frames up to here are put together in memory that is used again; answers to clients are far below. */
const FRAME_BYTES = 4 * 1024

const inside = lookInside()

/** Undefined where Node is not built as it was. */
function lookInside(): Inside | undefined {
  try {
    const { binding } = process as unknown as { binding(name: string): Partial<Inside> }
    const found = binding.call(process, 'stream_wrap')
    const isKnown =
      typeof found.WriteWrap === 'function' &&
      ArrayBuffer.isView(found.streamBaseState) &&
      typeof found.kReadBytesOrError === 'number' &&
      typeof found.kLastWriteWasAsync === 'number'
    return isKnown ? (found as Inside) : undefined
  } catch {
    return undefined
  }
}

/**
 * Takes the connections of a listening server as Node's own handles: the 'connection' event, the socket that it brings
 * and the socket's two streams cost more than the handle, its reads and its writes (docs/architecture.md, deciding and
 * doing). False, and nothing done, where Node's inside is not what it was.
 */
export function acceptRaw(server: Server, accept: (stream: AcceptedStream) => void): boolean {
  const listening = (server as unknown as { _handle?: Partial<ListeningHandle> | null })._handle
  if (!inside || typeof listening?.onconnection !== 'function') return false
  const node = inside
  listening.onconnection = (status, handle) => {
    if (status !== 0 || !handle) return
    const name: PeerName = {}
    // The client may have gone before it was accepted.
    if (handle.getpeername(name) !== 0 || name.address === undefined) return handle.close()
    accept(new RawStream(handle, { ip: normaliseIp(name.address), port: name.port ?? 0 }, node))
  }
  return true
}

/** All connections read into this, one after the other. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)
/** A frame on its way to the kernel. When that does not take it at once, the request keeps this and there is a new one. */
let frameBuffer = Buffer.allocUnsafeSlow(FRAME_BYTES)
/** A request that the last write did not need after all. */
let unusedRequest: WriteRequest | undefined

/** An accepted connection as Node's own handle. */
class RawStream implements AcceptedStream {
  readonly accepting = 'raw'
  readonly remote: Endpoint
  readonly #inside: Inside
  #handle: TcpHandle | undefined
  #owner: StreamOwner | undefined
  #unsentBytes = 0
  #framesSent = 0
  #isFinishing = false

  constructor(handle: TcpHandle, remote: Endpoint, node: Inside) {
    this.#handle = handle
    this.#inside = node
    this.remote = remote
  }

  get isWritable(): boolean {
    return this.#handle !== undefined && !this.#isFinishing
  }

  get unsentBytes(): number {
    return this.#unsentBytes
  }

  start(owner: StreamOwner): void {
    const handle = this.#handle
    if (!handle) return
    this.#owner = owner
    handle.stream = this
    handle.onread = passRead
    handle.useUserBuffer(readBuffer)
    if (handle.readStart() !== 0) this.destroy()
  }

  /** The result of a read. */
  read(): void {
    const length = this.#inside.streamBaseState[this.#inside.kReadBytesOrError] as number
    if (length > 0) {
      const bytes = Buffer.allocUnsafe(length)
      readBuffer.copy(bytes, 0, 0, length)
      this.#owner?.received(bytes)
    } else if (length === UV_EOF) this.#owner?.ended()
    else if (length < 0) this.destroy()
  }

  writeFrame(payload: Uint8Array): void {
    const handle = this.#handle
    if (!handle) return
    // The first answer leaves at once anyway, and most connections get only one.
    if (++this.#framesSent === 2) handle.setNoDelay(true)
    // Those that have to wait behind others get no more memory than they need.
    const fits = this.#unsentBytes === 0 && payload.length <= FRAME_BYTES - 4
    const frame = fits ? frameBuffer.subarray(0, writeFrame(frameBuffer, payload)) : encodeFrame(payload)
    const request = unusedRequest ?? new this.#inside.WriteWrap()
    unusedRequest = undefined
    if (handle.writeBuffer(request, frame) !== 0) return this.destroy()
    if (this.#inside.streamBaseState[this.#inside.kLastWriteWasAsync] === 0) {
      unusedRequest = request
      return
    }
    if (fits) frameBuffer = Buffer.allocUnsafeSlow(FRAME_BYTES)
    const cost = frame.length + WAITING_FRAME_BYTES
    this.#unsentBytes += cost
    request.stream = this
    request.cost = cost
    request.frame = frame
    request.oncomplete = passWritten
  }

  /** A write that took longer is done. */
  written(cost: number, status: number): void {
    this.#unsentBytes -= cost
    if (status < 0 || (this.#isFinishing && this.#unsentBytes === 0)) this.destroy()
  }

  finish(): void {
    this.#isFinishing = true
    if (this.#unsentBytes === 0) this.destroy()
  }

  destroy(): void {
    const handle = this.#handle
    if (!handle) return
    this.#handle = undefined
    handle.stream = undefined
    handle.close()
    if (goneStreams.push(this) === 1) process.nextTick(tellOwners)
  }

  tellOwner(): void {
    const owner = this.#owner
    this.#owner = undefined
    owner?.closed()
  }
}

function passRead(this: TcpHandle): void {
  this.stream?.read()
}

function passWritten(this: WriteRequest, status: number): void {
  this.stream?.written(this.cost ?? 0, status)
}

/** Streams whose owners have not been told yet. */
let goneStreams: RawStream[] = []

function tellOwners(): void {
  const streams = goneStreams
  goneStreams = []
  for (const stream of streams) stream.tellOwner()
}
