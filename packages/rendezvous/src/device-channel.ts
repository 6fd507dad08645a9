import type { ClientConnection, DatagramPort } from './connection.ts'

/** How a device is reached: by datagrams to where it is heard from, or down the connection that it keeps. */
export type DeviceChannel = DatagramChannel | ConnectionChannel

/** A device that registers over UDP. */
export interface DatagramChannel {
  readonly kind: 'datagram'
  /** Sends one message to the device. */
  send(payload: Uint8Array): void
}

/** A device that registers over a connection, and is online as long as it lasts. */
export interface ConnectionChannel {
  readonly kind: 'connection'
  readonly connection: ClientConnection
  /** Sends one message to the device. */
  send(payload: Uint8Array): void
}

export const datagramChannel = (datagrams: DatagramPort, ip: string, port: number): DatagramChannel => ({
  kind: 'datagram',
  send: (payload) => datagrams.send(payload, ip, port),
})

export const connectionChannel = (connection: ClientConnection): ConnectionChannel => ({
  kind: 'connection',
  connection,
  send: (payload) => connection.send(payload),
})
