import { randomUUID } from 'node:crypto'
import {
  DeviceSession,
  idServer,
  nodeDialler,
  openLink,
  parseHostPort,
  RendezvousLink,
  systemClock,
} from '@tryst/client'
import { encodeRendezvous } from '@tryst/protocol'
import { RawDevice } from './raw-device.ts'
import type { Site } from './site.ts'
import { within } from './wait-until.ts'

/**
 * A device that registers over UDP and enters the relay over WebSocket: the device's end of a session between two
 * clients in WebSocket mode. Stock devices in that mode register over WebSocket too, which this server refuses, as the
 * reference does.
 */
export class WebSocketDevice {
  private constructor(
    private readonly site: Site,
    private readonly device: RawDevice,
    private readonly password: string,
  ) {}

  static async online(site: Site, password: string): Promise<WebSocketDevice> {
    return new WebSocketDevice(site, await RawDevice.online(site), password)
  }

  get id(): string {
    return this.device.id
  }

  /** The session of the next controller, once it has logged in. */
  async serveOne(): Promise<DeviceSession> {
    const { punchHole } = await this.device.next()
    if (!punchHole) throw new Error('the device was not asked to punch')
    const { server } = this.site
    const network = { server, dialler: nodeDialler, transport: 'websocket', clock: systemClock } as const
    const pairing = randomUUID()
    const { socketAddr, relayServer } = punchHole
    const companion = await RendezvousLink.open(network, idServer(server))
    companion.send({ relayResponse: { socketAddr, uuid: pairing, relayServer, id: this.id, version: '1.4.9' } })
    const link = this.site.guest(await openLink(network, parseHostPort(relayServer, this.site.ports.relay)))
    link.send(encodeRendezvous({ requestRelay: { uuid: pairing, licenceKey: server.key ?? '' } }))
    const authorized = Promise.withResolvers<DeviceSession>()
    const host = {
      identity: this.device.identity,
      clock: systemClock,
      password: this.password,
      salt: 'salt',
      hostname: 'web-socket-device',
      failures: { total: 0, minute: 0, inMinute: 0 },
      authorized: authorized.resolve,
      keyUnconfirmed: () => undefined,
    }
    await DeviceSession.open(link, host, { path: 'relay', isSecure: true })
    await companion.close()
    return within('the controller logs in', authorized.promise)
  }
}
