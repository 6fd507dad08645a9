import {
  controllerAnswer,
  createBoxKeyPair,
  createSessionKey,
  encodeSession,
  RecordLayer,
  type SignedIdentity,
} from '@tryst/protocol/session'
import { ConnectError } from './connect-error.ts'
import type { PeerStream } from './peer-stream.ts'
import { CONNECT_LIMIT_MS } from './stock-client.ts'

/**
 * The controller's half of the handshake. Stock clients take the first frame for the device's identity whatever it is;
 * what is wrong with it ends the attempt here, as the protocol's description recommends.
 */
export async function shakeHands(
  stream: PeerStream,
  device: SignedIdentity | undefined,
  unencrypted: 'refuse' | 'accept',
): Promise<void> {
  const { link } = stream
  if (!device) {
    if (unencrypted === 'refuse') {
      throw new ConnectError(
        'unencrypted',
        'The server vouches for no key of the device: the handshake is not possible',
      )
    }
    // A relay drops empty messages where one side is a WebSocket; there, an empty key says the same.
    link.send(link.transport === 'websocket' ? encodeSession({ publicKey: {} }) : new Uint8Array(0))
    return
  }
  const frame = await link.next(CONNECT_LIMIT_MS)
  if (typeof frame === 'string') throw new ConnectError('handshake', 'Failed to secure connection: no handshake')
  const sessionKey = createSessionKey()
  try {
    link.send(controllerAnswer(frame, device, createBoxKeyPair(), sessionKey))
  } catch (cause) {
    throw new ConnectError('handshake', `Handshake failed: ${(cause as Error).message}`, { cause })
  }
  stream.encryptWith(new RecordLayer(sessionKey))
}
