import { randomBytes } from 'node:crypto'

/** Set for the workers of one program, the same for all of them: nobody else's workers are called so. */
export const WORKERS_GROUP = 'WORKERS_GROUP'

export const drawWorkersGroup = (): string => randomBytes(16).toString('hex')

/** A socket of Node's that goes from process to process; it is closed in each that has passed it on. */
export interface PassedHandle {
  close(): void
}

/** What one worker gives to another, through the parent of both: words, and a socket. */
export interface Parcel {
  /** Numbers of the workers. */
  readonly to: number
  readonly from: number
  readonly content: unknown
}

interface ParcelMessage {
  readonly parcel: Parcel
}

/** The channel to the parent, as far as it is used here. */
interface ParentChannel {
  send?(message: object, handle: undefined, options: undefined, whenSent: () => void): boolean
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown
}

/** Undefined: the message is about something else. */
export function readParcel(message: unknown): Parcel | undefined {
  if (typeof message !== 'object' || message === null || !('parcel' in message)) return undefined
  return (message as ParcelMessage).parcel
}

export const parcelMessage = (parcel: Parcel): ParcelMessage => ({ parcel })

export const isHandle = (handle: unknown): handle is PassedHandle =>
  typeof handle === 'object' && handle !== null && 'close' in handle && typeof handle.close === 'function'

/** The other workers of the same program, as one of them sees them. */
export class WorkerSiblings {
  constructor(
    readonly group: string,
    readonly worker: number,
    private readonly channel: ParentChannel = process,
  ) {}

  /**
   * Gives a socket to another worker. Where that one has just ended, it comes back. False: there is no way.
   *
   * @param whenSent the handle may be closed here; it is not waited for that anybody has it
   */
  give(to: number, content: unknown, handle: PassedHandle, whenSent: () => void): boolean {
    if (!this.channel.send) return false
    const message = parcelMessage({ to, from: this.worker, content })
    try {
      // Node passes its own handles on, too, which its types do not say: unlike a socket one reads nothing on its way.
      this.channel.send(message, handle as unknown as undefined, undefined, whenSent)
      return true
    } catch {
      // Another Node may not.
      return false
    }
  }

  /** Hands over what others give. */
  receive(take: (content: unknown, handle: PassedHandle) => void): void {
    this.channel.on('message', (message, handle) => {
      const parcel = readParcel(message)
      // Without a handle its connection has ended on the way.
      if (parcel && isHandle(handle)) take(parcel.content, handle)
    })
  }
}
