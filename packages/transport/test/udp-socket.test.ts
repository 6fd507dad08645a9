import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, it } from '@jest/globals'
import { UdpPort } from '../src/udp-socket.ts'

async function open(more: object = {}) {
  return UdpPort.open({
    port: 0,
    bind: undefined,
    receiveBufferBytes: 1 << 20,
    onDatagram: (datagram, ip, port, from) => from.send(Buffer.from(`${ip}|${datagram.length}`), ip, port),
    onError: (error) => {
      throw error
    },
    ...more,
  })
}

async function ask(type: 'udp4' | 'udp6', host: string, port: number): Promise<string> {
  const socket = createSocket(type)
  socket.send(Buffer.alloc(3), port, host)
  const [answer] = await once(socket, 'message')
  socket.close()
  return String(answer)
}

describe('the UDP port', () => {
  it('shows plain addresses of both families, and answers from the port that was asked', async () => {
    const udp = await open()
    expect(await ask('udp4', '127.0.0.1', udp.port)).toBe('127.0.0.1|3')
    expect(await ask('udp6', '::1', udp.port)).toBe('::1|3')
    await udp.close()
    await udp.close()
  })

  it('pushes to an address by its family', async () => {
    const udp = await open()
    const socket = createSocket('udp6')
    socket.bind(0, '::1')
    await once(socket, 'listening')
    udp.send(Buffer.from('push'), '::1', socket.address().port)
    const [message, { port }] = await once(socket, 'message')
    expect(String(message)).toBe('push')
    expect(port).toBe(udp.port)
    socket.close()
    await udp.close()
    // Nothing is sent any more, and nothing is thrown.
    udp.send(Buffer.from('late'), '127.0.0.1', 9)
  })

  it('goes on when something cannot be sent', async () => {
    const udp = await open()
    // Too long for a datagram; no route to that network.
    udp.send(Buffer.alloc(70_000), '127.0.0.1', 9)
    udp.send(Buffer.from('x'), '255.255.255.255', 9)
    expect(await ask('udp4', '127.0.0.1', udp.port)).toBe('127.0.0.1|3')
    await udp.close()
  })

  it('fails when the port is taken', async () => {
    const udp = await open({ bind: '127.0.0.1' })
    await expect(open({ bind: '127.0.0.1', port: udp.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await udp.close()
  })
})
