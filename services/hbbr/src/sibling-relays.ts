import type { RelayHalf } from '@tryst/relay'
import type { WorkerSiblings } from '@tryst/service'
import type { KnownNode } from '@tryst/state-redis'
import { type SocketHandle, TcpHalf } from '@tryst/transport'

/** A TCP connection that another relay of this program has accepted. */
export interface GivenHalf {
  readonly handle: SocketHandle
  /** The client's real address. */
  readonly remote: { readonly ip: string; readonly port: number }
  /** What was read of it, from its first byte on. */
  readonly stream: Uint8Array
}

/** As it is written for the way between the processes. */
interface HalfContent {
  readonly half: { readonly ip: string; readonly port: number; readonly stream: string }
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
   * False: it stays here. A WebSocket does, whose state would have to go with it, and one that was given to us, lest two
   * relays give it to each other without end.
   */
  give(worker: number, half: RelayHalf, stream: () => Uint8Array): boolean {
    const handle = half instanceof TcpHalf ? half.release() : undefined
    if (!handle) return false
    const { ip, port } = half.remote
    const content: HalfContent = { half: { ip, port, stream: Buffer.from(stream()).toString('base64') } }
    // Our share in the connection; it lives on in the other process.
    if (!this.siblings.give(worker, content, handle, () => half.destroy())) half.destroy()
    return true
  }

  receive(take: (half: GivenHalf) => void): void {
    this.siblings.receive((content, handle) => {
      const { half } = content as HalfContent
      take({ handle, remote: { ip: half.ip, port: half.port }, stream: Buffer.from(half.stream, 'base64') })
    })
  }
}
