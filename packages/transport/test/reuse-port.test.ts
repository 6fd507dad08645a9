import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { listenEverywhere, listenPerFamily, portOf } from '../src/listen-everywhere.ts'
import { UdpPort } from '../src/udp-socket.ts'

const BIND = '127.0.0.1'

describe('a port that several nodes share', () => {
  const opened: { close(): unknown }[] = []
  afterEach(() => Promise.all(opened.splice(0).map((each) => each.close())))

  const udp = async (port: number, reusePort: boolean, batches: 'where-possible' | 'off') => {
    const socket = await UdpPort.open({
      ...{ port, bind: BIND, reusePort, batches, receiveBufferBytes: 0 },
      onDatagram: () => {},
      onError: () => {},
    })
    opened.push(socket)
    return socket
  }

  it.each(['where-possible', 'off'] as const)('takes datagrams for all who say so, batches %s', async (batches) => {
    const first = await udp(0, true, batches)
    expect((await udp(first.port, true, batches)).port).toBe(first.port)
    await expect(udp(first.port, false, batches)).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  it.each(['where-possible', 'off'] as const)('is taken where the first one does not, batches %s', async (batches) => {
    const first = await udp(0, false, batches)
    await expect(udp(first.port, true, batches)).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  it('takes connections for all who say so', async () => {
    const accepted: string[] = []
    const server = (name: string): Server => {
      const created = createServer((socket) => {
        accepted.push(name)
        socket.destroy()
      })
      opened.push(created)
      return created
    }
    const first = server('first')
    await listenEverywhere(first, { port: 0, bind: BIND, reusePort: true })
    const port = portOf(first)
    await listenPerFamily(() => server('second'), { port, bind: BIND, reusePort: true })
    await expect(listenEverywhere(server('third'), { port, bind: BIND })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    // The system deals them out by the client's port.
    for (let i = 0; i < 200 && new Set(accepted).size < 2; i++) {
      const socket = connect(port, BIND).on('error', () => {})
      await once(socket, 'close')
    }
    expect(new Set(accepted)).toEqual(new Set(['first', 'second']))
  })
})
