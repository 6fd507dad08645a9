import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { findPortOwner } from './port-owner.ts'

const onLinux = process.platform === 'linux' ? describe : describe.skip

onLinux(`the program that has a port${process.platform === 'linux' ? '' : ' (known on Linux only)'}`, () => {
  it.each(['127.0.0.1', '::'])('is found for TCP on %s', async (host) => {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect(await findPortOwner(port, 'tcp')).toEqual({ name: expect.any(String), pid: process.pid })
    expect(await findPortOwner(port, 'udp')).toBeUndefined()
    server.close()
    await once(server, 'close')
    expect(await findPortOwner(port, 'tcp')).toBeUndefined()
  })

  it('is found for UDP', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    expect(await findPortOwner(socket.address().port, 'udp')).toMatchObject({ pid: process.pid })
    socket.close()
  })

  it('is unknown where the system does not tell', async () => {
    expect(await findPortOwner(21116, 'tcp', '/nowhere')).toBeUndefined()
  })
})
