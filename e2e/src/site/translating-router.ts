import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import type { Site } from './site.ts'

/**
 * A router in front of one device that gives each of its connections another port, as the address translation of some
 * networks does: nobody can connect to the device by the port that the ID server saw.
 */
export class TranslatingRouter {
  private constructor(
    /** Where the device finds the ID server. */
    readonly port: number,
    private readonly inside: UdpSocket,
    private readonly outside: UdpSocket,
    private readonly tcp: Server,
  ) {}

  /** @param outsideIp what the ID server sees */
  static async open(site: Site, outsideIp: string): Promise<TranslatingRouter> {
    const { main } = site.ports
    const tcp = createServer((socket) => {
      const onward = connect({ host: site.server.host, port: main, localAddress: outsideIp })
      for (const each of [socket, onward]) each.on('error', () => undefined)
      socket.pipe(onward)
      onward.pipe(socket)
    })
    tcp.listen(0, site.server.host)
    await once(tcp, 'listening')
    const { port } = tcp.address() as { port: number }
    const [inside, outside] = [createSocket('udp4'), createSocket('udp4')]
    inside.bind(port, site.server.host)
    outside.bind(0, outsideIp)
    await Promise.all([once(inside, 'listening'), once(outside, 'listening')])
    let device: { port: number; address: string } | undefined
    inside.on('message', (datagram, from) => {
      device = from
      outside.send(datagram, main, site.server.host)
    })
    outside.on('message', (datagram) => {
      if (device) inside.send(datagram, device.port, device.address)
    })
    return site.guest(new TranslatingRouter(port, inside, outside, tcp))
  }

  close(): void {
    this.inside.close()
    this.outside.close()
    this.tcp.close()
  }
}
