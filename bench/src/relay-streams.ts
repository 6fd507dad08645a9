import type { AskedNode, Target } from './job.ts'
import type { Load } from './measure-window.ts'
import { openRelaySession, type RelaySession } from './relay-session.ts'

const CHUNK_BYTES = 256 * 1024
const CHUNKS_UNDER_WAY = 2
/** A prime below 4 MiB: a block of any usual size that is lost, doubled or moved shows. */
const PATTERN_BYTES = 4_194_301
/** Comparing every byte would cost more than relaying it. */
const COMPARE_EVERY = 16

/** Sessions at full speed, one direction, the received bytes compared with those that were sent. */
export class RelayStreams implements Load {
  /** Bytes that have arrived. */
  done = 0
  wrong = 0
  readonly lost = 0
  readonly #pattern = makePattern()
  readonly #sessions: RelaySession[] = []
  #running = false

  /** Opens the sessions; start() sets the bytes in motion. */
  static async open(
    target: Target,
    { sessions, halves }: { readonly sessions: number; readonly halves: AskedNode },
  ): Promise<RelayStreams> {
    const streams = new RelayStreams()
    for (let index = 0; index < sessions; index++) {
      streams.#sessions.push(await openRelaySession(target, { halves, onread: streams.#reader() }))
    }
    return streams
  }

  start(): void {
    this.#running = true
    for (const { from, to } of this.#sessions) {
      for (const side of [from, to]) side.on('close', () => this.#onClose())
      let offset = 0
      const send = () => {
        if (!this.#running) return
        const chunk = this.#pattern.subarray(offset, offset + CHUNK_BYTES)
        offset = (offset + CHUNK_BYTES) % PATTERN_BYTES
        from.write(chunk, send)
      }
      for (let index = 0; index < CHUNKS_UNDER_WAY; index++) send()
    }
  }

  stop(): void {
    this.#running = false
    for (const { from, to } of this.#sessions) {
      from.destroy()
      to.destroy()
    }
  }

  #onClose(): void {
    if (this.#running) this.wrong++
  }

  /** Reads into one buffer again and again: no allocation for each read. */
  #reader() {
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
    let offset = 0
    let reads = 0
    return {
      buffer,
      callback: (bytes: number): boolean => {
        const isCompared = reads++ % COMPARE_EVERY === 0
        if (isCompared && buffer.compare(this.#pattern, offset, offset + bytes, 0, bytes) !== 0) this.wrong++
        offset = (offset + bytes) % PATTERN_BYTES
        this.done += bytes
        return true
      },
    }
  }
}

/** The pattern, and its beginning once more behind it, so that a chunk from any offset lies in one piece. */
function makePattern(): Buffer {
  const pattern = Buffer.allocUnsafeSlow(PATTERN_BYTES + CHUNK_BYTES)
  let state = 42
  for (let at = 0; at < PATTERN_BYTES; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    pattern[at] = state >>> 24
  }
  pattern.copyWithin(PATTERN_BYTES, 0, CHUNK_BYTES)
  return pattern
}
