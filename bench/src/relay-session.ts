import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { requestRelay } from './device-messages.ts'
import type { Target } from './job.ts'

/** Two connections that a relay has joined. */
export interface RelaySession {
  readonly from: Socket
  readonly to: Socket
}

/**
 * Opens a session: both sides name the same uuid, nothing else is said.
 *
 * @param onread reads what arrives at `to` into a buffer of the caller's; without it `to` emits 'data'
 */
export async function openRelaySession({ host, port }: Target, onread?: OnReadOpts): Promise<RelaySession> {
  const request = requestRelay(randomUUID())
  const open = async (more: { onread?: OnReadOpts }) => {
    const socket = connect({ host, port, noDelay: true, ...more })
    await once(socket, 'connect')
    // A relay that hangs up shows as missing bytes.
    socket.on('error', () => undefined)
    socket.write(request)
    return socket
  }
  return { from: await open({}), to: await open(onread ? { onread } : {}) }
}
