import type { RelayHalf } from '@tryst/relay'
import type { WorkerSiblings } from '@tryst/service'
import type { KnownNode } from '@tryst/state-redis'
import { type SocketHandle, TcpHalf, WebSocketHalf } from '@tryst/transport'

/** A connection that another relay of this program has accepted. */
export interface GivenHalf {
  readonly transport: RelayHalf['transport']
  readonly handle: SocketHandle
  /** The client's real address. */
  readonly remote: { readonly ip: string; readonly port: number }
  /** What was read of it, from its first byte on; of a WebSocket what came after its upgrade. */
  readonly stream: Buffer
}

/** As it is written for the way between the processes. */
interface HalfContent {
  readonly half: {
    readonly transport: RelayHalf['transport']
    readonly ip: string
    readonly port: number
    readonly stream: string
  }
}

/** The relays of the same program: a connection goes from one to another, through the parent of both. */
export class SiblingRelays {
  constructor(private readonly siblings: Pick<WorkerSiblings, 'group' | 'worker' | 'give' | 'receive'>) {}

  /** Undefined: the node is no worker of this program. */
  numberOf({ workers, role }: Pick<KnownNode, 'workers' | 'role'>): number | undefined {
    if (role !== 'relay' || workers?.group !== this.siblings.group) return undefined
    return workers.worker === this.siblings.worker ? undefined : workers.worker
  }

  /**
   * False: it stays here, as one does that was given to us: else two relays could give it to each other without end.
   */
  give(worker: number, half: RelayHalf, stream: () => Uint8Array): boolean {
    const released = release(half, stream)
    if (!released) return false
    const { ip, port } = half.remote
    const content: HalfContent = {
      half: { transport: half.transport, ip, port, stream: Buffer.from(released.stream).toString('base64') },
    }
    // Our share in the connection; it lives on in the other process.
    if (!this.siblings.give(worker, content, released.handle, () => half.destroy())) half.destroy()
    return true
  }

  receive(take: (half: GivenHalf) => void): void {
    this.siblings.receive((content, handle) => {
      const { half } = content as HalfContent
      const { transport, ip, port } = half
      take({ handle, transport, remote: { ip, port }, stream: Buffer.from(half.stream, 'base64') })
    })
  }
}

function release(
  half: RelayHalf,
  stream: () => Uint8Array,
): (Pick<GivenHalf, 'handle'> & { stream: Uint8Array }) | undefined {
  if (half instanceof WebSocketHalf) {
    const released = half.release()
    return released && { handle: released.handle, stream: released.received }
  }
  const handle = half instanceof TcpHalf ? half.release() : undefined
  return handle && { handle, stream: stream() }
}
