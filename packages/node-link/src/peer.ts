import { NodeUnreachableError, type UnreachableReason } from './errors.ts'
import type { LinkEnd } from './events.ts'
import type { Question } from './frames.ts'
import type { link } from './generated/link.js'
import { encodeLinkFrame, type Link, MAX_FRAME_BYTES } from './link.ts'

/** A link that ends sooner counts as a failed attempt. */
const SHORT_LIFE_MS = 1_000
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 2_000
/** Numbers above are not given to questions. */
const MAX_ID = 0xfffffff0

export interface PeerLimits {
  readonly deadlineMs: number
  readonly maxQuestions: number
  readonly maxQueuedBytes: number
}

interface Pending {
  readonly resolve: (answer: link.Frame) => void
  readonly reject: (error: Error) => void
  readonly deadlineMs: number
  /** Undefined while there is no link. */
  link: Link | undefined
  sentMs: number
  /** What is to be sent once there is a link. */
  waiting: Uint8Array | undefined
}

/** Another node as this one sees it: the links to it and the questions that it has not answered. */
export class Peer {
  address: string
  readonly #limits: PeerLimits
  readonly #dial: (peer: Peer) => Promise<UnreachableReason | undefined>
  /** In the order of asking, which is that of the deadlines. */
  readonly #pending = new Map<number, Pending>()
  /** The newest last: at most one that we dialled and one that we accepted. */
  #links: readonly Link[] = []
  #waitingBytes = 0
  #lastId = 0
  #timer: NodeJS.Timeout | undefined
  #isDialling = false
  #failures = 0
  #retryMs = 0

  /** @param dial connects, attaches the link, and resolves with the reason where that failed */
  constructor(address: string, limits: PeerLimits, dial: (peer: Peer) => Promise<UnreachableReason | undefined>) {
    this.address = address
    this.#limits = limits
    this.#dial = dial
  }

  /** Nothing is lost when it is forgotten. */
  get isIdle(): boolean {
    return (
      this.#links.length === 0 && this.#pending.size === 0 && !this.#isDialling && this.#retryMs <= performance.now()
    )
  }

  /** Rejects with NodeUnreachableError, at the latest at the deadline. */
  ask(question: Question): Promise<link.Frame> {
    const now = performance.now()
    this.#lastId = (this.#lastId % MAX_ID) + 1
    const id = this.#lastId
    const frame = encodeLinkFrame({ ...question, question: id })
    const link = this.#links.at(-1)
    const refusal = this.#refusal(frame, link, now)
    if (refusal) return Promise.reject(this.#error(refusal))

    return new Promise((resolve, reject) => {
      const deadlineMs = now + this.#limits.deadlineMs
      this.#pending.set(id, { resolve, reject, deadlineMs, link, sentMs: now, waiting: link ? undefined : frame })
      this.#timer ??= this.#armed(this.#limits.deadlineMs)
      if (link) {
        link.send(frame)
        return
      }
      this.#waitingBytes += frame.length
      if (!this.#isDialling) void this.#connect()
    })
  }

  attach(link: Link): void {
    // The other side dials again only when it has lost the link that it had dialled.
    const replaced = this.#links.find(({ how }) => how === link.how)
    this.#links = [...this.#links, link]
    replaced?.close('replaced')
    const now = performance.now()
    for (const pending of this.#pending.values()) {
      if (pending.waiting === undefined) continue
      pending.link = link
      pending.sentMs = now
      link.send(pending.waiting)
      pending.waiting = undefined
    }
    this.#waitingBytes = 0
  }

  detach(link: Link, end: LinkEnd): void {
    this.#links = this.#links.filter((other) => other !== link)
    if (link.how === 'dialled' && end !== 'closed' && performance.now() - link.openedMs < SHORT_LIFE_MS) this.#failed()
    else this.#failures = 0
    this.#rejectAll('link-lost', (pending) => pending.link === link)
  }

  answered(id: number, answer: link.Frame): void {
    const pending = this.#pending.get(id)
    if (!pending) return
    this.#pending.delete(id)
    if (answer.notUnderstood) pending.reject(this.#error('not-understood'))
    else if (answer.failed) pending.reject(this.#error('failed'))
    else pending.resolve(answer)
  }

  /** Ends everything; what is outstanding rejects. */
  close(): void {
    for (const link of this.#links) link.close('closed')
    this.#rejectAll('closed', () => true)
    clearTimeout(this.#timer)
  }

  #refusal(frame: Uint8Array, link: Link | undefined, now: number): UnreachableReason | undefined {
    if (frame.length > MAX_FRAME_BYTES) return 'too-large'
    if (this.#pending.size >= this.#limits.maxQuestions) return 'queue-full'
    if (link) return link.hasRoomFor(frame.length) ? undefined : 'queue-full'
    if (now < this.#retryMs) return 'backing-off'
    return this.#waitingBytes + frame.length <= this.#limits.maxQueuedBytes ? undefined : 'queue-full'
  }

  async #connect(): Promise<void> {
    this.#isDialling = true
    const failure = await this.#dial(this)
    this.#isDialling = false
    if (failure === undefined) return
    this.#failed()
    this.#rejectAll(failure, (pending) => pending.waiting !== undefined)
  }

  #failed(): void {
    const backoffMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++)
    // Nodes that lost a third at the same time do not come back to it at the same time.
    this.#retryMs = performance.now() + backoffMs * (0.75 + Math.random() / 4)
  }

  #armed(delayMs: number): NodeJS.Timeout {
    // After what has arrived was read: a process that was busy for long does not take its own delay for the other's.
    return setTimeout(() => setImmediate(() => this.#expire()), delayMs).unref()
  }

  #expire(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const [id, pending] of this.#pending) {
      if (pending.deadlineMs > now) {
        this.#timer = this.#armed(pending.deadlineMs - now)
        return
      }
      this.#pending.delete(id)
      if (pending.waiting) this.#waitingBytes -= pending.waiting.length
      pending.reject(this.#error('deadline'))
      if (pending.link && pending.link.heardMs < pending.sentMs) pending.link.probe()
    }
  }

  #rejectAll(reason: UnreachableReason, concerns: (pending: Pending) => boolean): void {
    for (const [id, pending] of this.#pending) {
      if (!concerns(pending)) continue
      this.#pending.delete(id)
      if (pending.waiting) this.#waitingBytes -= pending.waiting.length
      pending.reject(this.#error(reason))
    }
  }

  #error(reason: UnreachableReason): NodeUnreachableError {
    return new NodeUnreachableError(this.address, reason)
  }
}
