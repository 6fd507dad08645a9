import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { decodeRendezvous, encodeRendezvous, mangleAddress } from '@tryst/protocol'
import { StandIn } from './stand-in.ts'

const built = new URL('../dist/index.js', import.meta.url).href

/** Runs a script that uses the built package, in a process of its own; resolves when that ends by itself. */
const run = (script: string, ...args: string[]) =>
  promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', `import { Controller, Device } from '${built}'\n${script}`, ...args],
    { timeout: 20_000 },
  )

// Sockets and child processes take their time on a busy machine.
jest.setTimeout(60_000)

describe('closing', () => {
  const standIn = new StandIn('127.0.0.1', () => performance.now())
  let port = '0'

  beforeAll(async () => {
    port = String(await standIn.listen())
    standIn.udpFilter = (datagram, reply) => {
      if (decodeRendezvous(datagram).union === 'registerPk') reply(encodeRendezvous({ registerPkResponse: {} }))
      // Whatever the device is told to do, it is in the middle of it when it is closed.
      const socketAddr = mangleAddress({ ip: '127.0.0.1', port: 9 }, 5)
      reply(encodeRendezvous({ punchHole: { socketAddr, natType: 1 } }))
      return true
    }
  })
  afterAll(() => standIn.close())

  it('a device that is online, listens for an initiator and repeats its NAT test leaves no handle', async () => {
    const { stdout } = await run(
      `const device = new Device({ server: { host: '127.0.0.1', port: Number(process.argv[1]) } })
       const told = new Promise((resolve) => device.once('reaction', resolve))
       await device.start()
       await device.online()
       await told
       await device.close()
       await device.close()
       console.log(process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap').join())`,
      port,
    )
    expect(stdout.trim()).toBe('')
  })

  it('a device that cannot reach its server leaves no handle', async () => {
    await run(`const device = new Device({ server: { host: '127.0.0.1', port: 9 } })
      const started = device.start()
      await device.close()
      await started`)
  })

  it('a device in WebSocket mode leaves no handle', async () => {
    await run(
      `const device = new Device({ server: { host: '127.0.0.1', port: Number(process.argv[1]) }, transport: 'websocket' })
       await device.start()
       await device.close()`,
      port,
    )
  })

  it('a controller that waits for an answer leaves no handle', async () => {
    await run(
      `const controller = new Controller({ server: { host: '127.0.0.1', port: Number(process.argv[1]) } })
       const attempt = controller.connect('111222333').catch((error) => console.log(error.failure))
       setTimeout(() => controller.close(), 100)
       await attempt`,
      port,
    )
  })
})
