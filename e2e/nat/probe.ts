import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Behaviour, Dependence } from './behaviour.ts'
import type { Observer, ObserverPlaces, TcpAnswer, TcpQuestion, UdpAnswer, UdpQuestion } from './observers.ts'

const UDP_REPEAT_MS = 300

/** What the routers in front of us do with one UDP port of ours. */
export async function probeUdp({ ips, ports }: ObserverPlaces): Promise<Behaviour> {
  const socket = createSocket(ips[0].includes(':') ? 'udp6' : 'udp4')
  socket.bind(0)
  await once(socket, 'listening')
  const heard = new Map<string, UdpAnswer>()
  socket.on('message', (datagram) => {
    const answer = JSON.parse(String(datagram)) as UdpAnswer
    heard.set(answer.words, answer)
    socket.emit('heard')
  })
  const send = (question: UdpQuestion, ip: string, port: number) => socket.send(JSON.stringify(question), port, ip)
  const ask = async (words: string, ip: string, port: number): Promise<UdpAnswer> => {
    const repeat = setInterval(send, UDP_REPEAT_MS, { by: 'same', words }, ip, port)
    send({ by: 'same', words }, ip, port)
    try {
      for (;;) {
        const answer = heard.get(words)
        if (answer) return answer
        await once(socket, 'heard')
      }
    } finally {
      clearInterval(repeat)
    }
  }
  const [ip, otherIp] = ips
  const [port, otherPort] = ports
  try {
    const first = await ask('first', ip, port)
    // Filtering first: what we send to the other observers would open the way for them.
    const passed = async (by: Observer): Promise<boolean> => {
      send({ by, words: by }, ip, port)
      // What the asked observer sends after them comes after them.
      await ask(`${by}, marker`, ip, port)
      await ask(`${by}, second marker`, ip, port)
      return heard.has(by)
    }
    const filtering = dependence(!(await passed('otherPort')), !(await passed('otherAddress')))
    const atOtherPort = await ask('other port', ip, otherPort)
    const atOtherAddress = await ask('other address', otherIp, port)
    return { filtering, mapping: mappingOf(first.port, atOtherPort.port, atOtherAddress.port) }
  } finally {
    socket.close()
  }
}

/** The same of one TCP port. */
export async function probeTcp({ ips, ports }: ObserverPlaces): Promise<Behaviour> {
  const [ip, otherIp] = ips
  const [port, otherPort] = ports
  const first = await askTcp({ by: 'otherPort' }, ip, port)
  const second = await askTcp({ by: 'otherAddress' }, ip, port)
  const filtering = dependence(!first.connected, !second.connected)
  const { localPort } = second
  const atOtherPort = await askTcp({ by: 'same' }, ip, otherPort, localPort)
  const atOtherAddress = await askTcp({ by: 'same' }, otherIp, port, localPort)
  return { filtering, mapping: mappingOf(second.port, atOtherPort.port, atOtherAddress.port) }
}

const mappingOf = (first: number, atOtherPort: number, atOtherAddress: number): Dependence =>
  dependence(atOtherPort !== first, atOtherAddress !== first)

function dependence(onPort: boolean, onAddress: boolean): Dependence {
  if (onPort) return 'address-and-port-dependent'
  return onAddress ? 'address-dependent' : 'endpoint-independent'
}

/** Asks from one port, on which connections are accepted as well. */
async function askTcp(question: TcpQuestion, host: string, port: number, localPort = 0) {
  const localAddress = host.includes(':') ? '::' : '0.0.0.0'
  const socket = connect({ host, port, localAddress, localPort })
  await once(socket, 'connect')
  const bound = socket.localPort ?? 0
  const server = createServer((arrived) => arrived.on('error', () => undefined).end())
  server.listen(bound, localAddress)
  await once(server, 'listening')
  socket.write(JSON.stringify(question))
  let text = ''
  for await (const chunk of socket) text += chunk
  server.close()
  const answer = JSON.parse(text) as TcpAnswer
  return { ...answer, localPort: bound }
}
