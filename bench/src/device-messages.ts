import { encodeRendezvous, frameHeader } from '@tryst/protocol'

const VERSION = '1.4.9'
/** Stock clients start from this serial. */
const SERIAL = 3

/** Ids of stock clients are drawn at random: neighbours must not be neighbours in an index. */
export const deviceId = (device: number): string => String(100_000_000 + ((device * 514_229) % 900_000_000))

/** 32 bytes that belong to this device alone; nobody here signs with them. */
export function devicePublicKey(device: number): Buffer {
  const key = Buffer.alloc(32, 0x5a)
  key.writeUInt32LE(device)
  return key
}

/** RegisterPeer. */
export const heartbeat = (device: number): Buffer =>
  Buffer.from(encodeRendezvous({ registerPeer: { id: deviceId(device), serial: SERIAL } }))

export const registerPk = (device: number): Buffer =>
  Buffer.from(
    encodeRendezvous({
      registerPk: {
        id: deviceId(device),
        uuid: Buffer.from(device.toString(16).padStart(32, '0')),
        pk: devicePublicKey(device),
      },
    }),
  )

export const punchHoleRequest = (device: number, key: string): Buffer =>
  framed(
    encodeRendezvous({ punchHoleRequest: { id: deviceId(device), natType: 1, licenceKey: key, version: VERSION } }),
  )

/** What the device answers to a PunchHole, with the handle that it was sent. */
export const punchHoleSent = (device: number, handle: Uint8Array, relayServer: string): Buffer =>
  framed(
    encodeRendezvous({
      punchHoleSent: { socketAddr: handle, id: deviceId(device), relayServer, natType: 1, version: VERSION },
    }),
  )

/** Asks for a device that is to be reached over a relay. */
export const forcedRelayRequest = (device: number, key: string): Buffer =>
  framed(
    encodeRendezvous({
      punchHoleRequest: { id: deviceId(device), natType: 1, licenceKey: key, version: VERSION, forceRelay: true },
    }),
  )

/** What the device answers when it goes to a relay. */
export const relayResponse = (device: number, handle: Uint8Array, uuid: string, relayServer: string): Buffer =>
  framed(
    encodeRendezvous({
      relayResponse: { socketAddr: handle, uuid, relayServer, id: deviceId(device), version: VERSION },
    }),
  )

/** What both sides of a session send to the relay first; the controller names the device. */
export const requestRelay = (
  uuid: string,
  { key = '', device }: { readonly key?: string; readonly device?: number } = {},
): Buffer =>
  framed(
    encodeRendezvous({
      requestRelay: { uuid, licenceKey: key, id: device === undefined ? '' : deviceId(device) },
    }),
  )

function framed(payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(payload.length), payload])
}
