import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** Which of the observers is meant, seen from the one that is asked. */
export type Observer = 'same' | 'otherPort' | 'otherAddress'

/** What an observer is asked over UDP: that this observer sends these words back. */
export interface UdpQuestion {
  readonly by: Observer
  readonly words: string
}

/** What an observer tells: the words, and where the question came from. */
export interface UdpAnswer {
  readonly words: string
  readonly port: number
}

/** What an observer is asked over TCP: that this observer connects to where the question came from. */
export interface TcpQuestion {
  readonly by: Observer
}

export interface TcpAnswer {
  readonly port: number
  /** Whether it came through. */
  readonly connected: boolean
}

export interface ObserverPlaces {
  readonly ips: readonly [string, string]
  readonly ports: readonly [number, number]
}

/** A packet that a router drops is never answered; one that it lets in is within this time, however busy the machine. */
const DIAL_BACK_LIMIT_MS = 1_500

/** Ends of the internet on two addresses and two ports: tell what they see, and send or connect back on request. */
export async function startObservers({ ips, ports }: ObserverPlaces): Promise<void> {
  const places = [ips[0], ips[1]].flatMap((ip) => ports.map((port) => ({ ip, port })))
  const udp = new Map<string, UdpSocket>()
  for (const { ip, port } of places) {
    udp.set(key(ip, port), await bindUdp(ip, port))
    await listenTcp(ip, port, (by) => placeOf(by, ip, port))
  }
  for (const [at, socket] of udp) {
    socket.on('message', (datagram, from: RemoteInfo) => {
      const { by, words } = JSON.parse(String(datagram)) as UdpQuestion
      const { ip, port } = parse(at)
      const answer: UdpAnswer = { words, port: from.port }
      const place = placeOf(by, ip, port)
      udp.get(key(place.ip, place.port))?.send(JSON.stringify(answer), from.port, from.address)
    })
  }

  function placeOf(by: Observer, ip: string, port: number): { ip: string; port: number } {
    const other = <T>(pair: readonly [T, T], one: T): T => (pair[0] === one ? pair[1] : pair[0])
    if (by === 'otherPort') return { ip, port: other(ports, port) }
    return by === 'otherAddress' ? { ip: other(ips, ip), port } : { ip, port }
  }
}

const key = (ip: string, port: number) => `${ip} ${port}`

function parse(text: string): { ip: string; port: number } {
  const [ip = '', port = ''] = text.split(' ')
  return { ip, port: Number(port) }
}

async function bindUdp(ip: string, port: number): Promise<UdpSocket> {
  const socket = createSocket(ip.includes(':') ? 'udp6' : 'udp4')
  socket.bind(port, ip)
  await once(socket, 'listening')
  return socket
}

async function listenTcp(ip: string, port: number, placeOf: (by: Observer) => { ip: string }): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', async (text) => {
      const { by } = JSON.parse(String(text)) as TcpQuestion
      const { remoteAddress = '', remotePort = 0 } = socket
      const connected = by !== 'same' && (await connects(placeOf(by).ip, remoteAddress, remotePort))
      const answer: TcpAnswer = { port: remotePort, connected }
      socket.end(JSON.stringify(answer))
    })
  })
  server.listen(port, ip)
  await once(server, 'listening')
  return server
}

/** Whether somebody accepts a connection there from this address, from a port that was not used before. */
function connects(localAddress: string, host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host, port, localAddress })
    const end = (connected: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(connected)
    }
    const timer = setTimeout(end, DIAL_BACK_LIMIT_MS, false)
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
