import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { requestRelay } from './device-messages.ts'
import type { AskedNode, Target } from './job.ts'

/** Two connections that a relay has joined. */
export interface RelaySession {
  readonly from: Socket
  readonly to: Socket
}

export interface RelaySessionOptions {
  /** Where `to` connects. Default: where `from` does. */
  readonly halves?: AskedNode
  /** Reads what arrives at `to` into a buffer of the caller's; without it `to` emits 'data'. */
  readonly onread?: OnReadOpts
}

/** Opens a session: both sides name the same uuid, nothing else is said. */
export async function openRelaySession(
  { host, port, otherPort }: Target,
  { halves = 'same-node', onread }: RelaySessionOptions = {},
): Promise<RelaySession> {
  const request = requestRelay(randomUUID())
  const open = async (at: number, more: { onread?: OnReadOpts }) => {
    const socket = connect({ host, port: at, noDelay: true, ...more })
    await once(socket, 'connect')
    // A relay that hangs up shows as missing bytes.
    socket.on('error', () => undefined)
    socket.write(request)
    return socket
  }
  const from = await open(port, {})
  return { from, to: await open(halves === 'same-node' ? port : otherPort, onread ? { onread } : {}) }
}
