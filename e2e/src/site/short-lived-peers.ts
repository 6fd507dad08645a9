/**
 * A device and two controllers that meet and close: run as a process of its own, which has to end by itself.
 * Arguments: host, port and key of the ID server.
 */
import { Controller, Device, echo } from '@tryst/client'

const [host = '', port, key] = process.argv.slice(2)
const server = { host, port: Number(port), key }
const device = new Device({ server, password: 'pw', localAddress: '127.0.0.2', onSession: echo })
await device.start()
await device.online()
for (const transport of ['tcp', 'websocket'] as const) {
  const controller = new Controller({ server, transport })
  for (const forceRelay of [false, true]) {
    const session = await controller.connect(device.id, { password: 'pw', forceRelay })
    const echoed = new Promise<void>((resolve) => {
      session.onData = () => resolve()
    })
    await session.write(new Uint8Array(1_000))
    await echoed
  }
  await controller.close()
}
await device.close()
console.log('closed')
