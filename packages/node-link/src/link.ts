import type { TLSSocket } from 'node:tls'
import { encodeFrame, FrameDecoder } from '@tryst/protocol'
import { answerQuestion } from './answer-question.ts'
import type { LinkEnd, LinkedNode } from './events.ts'
import type { Answer } from './frames.ts'
import { link } from './generated/link.js'
import type { NodeQuestions } from './node-questions.ts'

/** The longest message between nodes, either way. */
export const MAX_FRAME_BYTES = 256 * 1024
/** How long a node may take for the last answers when links are closed. */
const LINGER_MS = 500
/** Number of the question whether the other side is alive; no other question has it. */
const PROBE = 0xffffffff

export interface LinkLimits {
  /** Questions on their way to one node, and questions of it that are being answered here. */
  readonly maxQuestions: number
  /** Bytes that the kernel has not taken yet. */
  readonly maxQueuedBytes: number
  /** How long a node may be silent after a question that it did not answer. */
  readonly silenceMs: number
}

export interface LinkOwner {
  readonly questions: NodeQuestions
  readonly limits: LinkLimits
  onAnswer(id: number, answer: link.Frame): void
  /** Called once. */
  onEnd(link: Link, end: LinkEnd): void
}

export const encodeLinkFrame = (frame: link.Frame.$Properties): Uint8Array =>
  encodeFrame(link.Frame.encode(frame).finish())

/** One connection that carries questions and answers both ways. */
export class Link {
  readonly openedMs = performance.now()
  /** When the other side was last heard of. */
  heardMs = this.openedMs
  readonly #socket: TLSSocket
  readonly #owner: LinkOwner
  readonly #decoder = new FrameDecoder(MAX_FRAME_BYTES)
  /** What was written in this turn of the event loop: it leaves in one record. */
  #batch: Uint8Array[] = []
  #batchBytes = 0
  #answering = 0
  #probe: NodeJS.Timeout | undefined
  #end: LinkEnd | undefined

  /** @param socket proven, greeted, paused */
  constructor(
    socket: TLSSocket,
    readonly node: LinkedNode,
    readonly how: 'dialled' | 'accepted',
    owner: LinkOwner,
  ) {
    this.#socket = socket
    this.#owner = owner
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('end', () => this.close('ended'))
    socket.on('close', () => this.close('ended'))
    socket.resume()
  }

  /** False: too much is on its way already. */
  hasRoomFor(bytes: number): boolean {
    return this.#socket.writableLength + this.#batchBytes + bytes <= this.#owner.limits.maxQueuedBytes
  }

  send(frame: Uint8Array): void {
    if (this.#end !== undefined) return
    if (this.#batch.length === 0) process.nextTick(flush, this)
    this.#batch.push(frame)
    this.#batchBytes += frame.length
  }

  flush(): void {
    const batch = this.#batch
    const first = batch[0]
    if (first === undefined) return
    this.#batch = []
    this.#batchBytes = 0
    if (this.#socket.writable) this.#socket.write(batch.length === 1 ? first : Buffer.concat(batch))
  }

  /** A question was not answered, and nothing else was heard since it left. */
  probe(): void {
    if (this.#probe || this.#end !== undefined) return
    this.send(encodeLinkFrame({ question: PROBE, alive: {} }))
    this.#probe = setTimeout(() => this.close('silent'), this.#owner.limits.silenceMs)
    this.#probe.unref()
  }

  /** May be called twice. */
  close(end: LinkEnd): void {
    if (this.#end !== undefined) return
    this.flush()
    this.#end = end
    clearTimeout(this.#probe)
    if (end === 'closed') closeSoon(this.#socket)
    else this.#socket.destroy()
    this.#owner.onEnd(this, end)
  }

  #receive(bytes: Uint8Array): void {
    if (this.#end !== undefined) return
    this.heardMs = performance.now()
    if (this.#probe) {
      clearTimeout(this.#probe)
      this.#probe = undefined
    }
    try {
      this.#decoder.push(bytes, this.#take)
    } catch {
      this.close('malformed')
    }
  }

  readonly #take = (payload: Uint8Array): boolean => {
    const frame = link.Frame.decode(payload)
    if (frame.answer !== 0) this.#owner.onAnswer(frame.answer, frame)
    else if (frame.question !== 0) this.#answer(frame)
    return this.#end === undefined
  }

  #answer(frame: link.Frame): void {
    // Who is alive says so, whatever else waits.
    if (this.#answering >= this.#owner.limits.maxQuestions && !frame.alive) {
      this.#reply(frame.question, { failed: {} })
      return
    }
    const answer = answerQuestion(frame, this.#owner.questions)
    if (!(answer instanceof Promise)) {
      this.#reply(frame.question, answer)
      return
    }
    this.#answering++
    void answer.then((late) => {
      this.#answering--
      this.#reply(frame.question, late)
    })
  }

  #reply(id: number, answer: Answer): void {
    const frame = encodeLinkFrame({ ...answer, answer: id })
    // Whoever asks and does not read gets no more answers.
    if (this.hasRoomFor(frame.length)) this.send(frame)
  }
}

const flush = (link: Link) => link.flush()

/** Answers that were given still leave, if somebody takes them. */
function closeSoon(socket: TLSSocket): void {
  socket.destroySoon()
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}
