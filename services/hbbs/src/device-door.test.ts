import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from '@jest/globals'
import { DeviceDoor } from './device-door.ts'

const BIND = '127.0.0.1'

describe('the door for devices', () => {
  const opened: { close(): unknown }[] = []
  afterEach(() => Promise.all(opened.splice(0).map((each) => each.close())))

  async function open() {
    const probe = createSocket('udp4').bind(0, BIND)
    await once(probe, 'listening')
    const { port } = probe.address()
    probe.close()
    await once(probe, 'close')
    const heard: string[] = []
    const errors: Error[] = []
    const door = await DeviceDoor.open({
      ...{ port, bind: BIND, receiveBufferBytes: 0 },
      onDatagram: (datagram, _ip, from, sender) => {
        heard.push(String(datagram))
        sender.send(datagram, BIND, from)
      },
      onError: (error) => errors.push(error),
    })
    opened.push(door)
    return { door, port, heard, errors }
  }

  async function echoed(port: number, text: string, limitMs: number): Promise<boolean> {
    const socket = createSocket('udp4').bind(0, BIND)
    opened.push({ close: () => new Promise<void>((resolve) => socket.close(() => resolve())) })
    await once(socket, 'listening')
    socket.send(text, port, BIND)
    const limit = AbortSignal.timeout(limitMs)
    return once(socket, 'message', { signal: limit }).then(
      () => true,
      () => false,
    )
  }

  async function until(look: () => Promise<boolean>): Promise<void> {
    while (!(await look()));
  }

  it('lets nobody in while it is shut, and everybody again when it is opened', async () => {
    const { door, port, heard, errors } = await open()
    expect(await echoed(port, 'one', 2_000)).toBe(true)
    door.keep('shut')
    await until(async () => !(await echoed(port, 'shut', 100)))
    const heardWhenShut = heard.length
    door.keep('open')
    await until(() => echoed(port, 'two', 100))
    expect(heard.slice(heardWhenShut)).toContain('two')
    expect(errors).toEqual([])
  })

  it('tries again while somebody else has the port', async () => {
    const { door, port, errors } = await open()
    door.keep('shut')
    await until(async () => !(await echoed(port, 'shut', 100)))
    const other = createSocket('udp4').bind(port, BIND)
    await once(other, 'listening')
    door.keep('open')
    await until(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return errors.length > 0
    })
    other.close()
    await once(other, 'close')
    await until(() => {
      door.keep('open')
      return echoed(port, 'two', 100)
    })
  })

  it('stays closed once it was closed', async () => {
    const { door, port } = await open()
    await door.close()
    door.keep('open')
    await door.close()
    expect(await echoed(port, 'late', 200)).toBe(false)
  })
})
