import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { ServerSettings } from '@tryst/client'
import { ComposeStack } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { carries, meetAtRelay, PASSWORD, trust } from '../src/containers/meet.ts'
import { openPorts } from '../src/containers/port-scan.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(120_000)
const BUILD_LIMIT_MS = 900_000

const BYTES = 64 << 20
const REDIS_PORT = 6379
const run = promisify(execFile)

const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`the doors of docker compose up${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  let stack: ComposeStack
  let distrust: (() => void) | undefined

  beforeAll(async () => {
    stack = await ComposeStack.prepare({ publicHost: 'localhost' })
    await stack.build()
    await stack.up()
    distrust = trust(await stack.authority())
  }, BUILD_LIMIT_MS)
  afterEach(() => stack?.dismissGuests())
  afterAll(async () => {
    distrust?.()
    await stack?.remove()
  })

  /** What a client is set to that comes through this door. All name the same relay, and each finds its own way to it. */
  async function clientAt(door: Door) {
    const server: ServerSettings = await stack.server()
    if (door === 'TCP') return { server, transport: 'tcp' } as const
    const [webSocketScheme, webSocketPort] =
      door === 'WSS' ? (['wss', stack.httpsPort] as const) : (['ws', stack.httpPort] as const)
    return { server: { ...server, webSocketScheme, webSocketPort }, transport: 'websocket' } as const
  }

  it('is not believed over TLS by those who do not know its authority', async () => {
    const device = await stack.device({ ...(await clientAt('TCP')), password: PASSWORD, mayListen: false })
    distrust?.()
    try {
      const stranger = await stack.controller(await clientAt('WSS'))
      expect(await refusal(stack.httpsPort)).toMatch(/^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)$/)
      await expect(stranger.connect(device.id, { password: PASSWORD })).rejects.toThrow(
        'Failed to connect to rendezvous',
      )
    } finally {
      distrust = trust(await stack.authority())
    }
    expect(await refusal(stack.httpsPort)).toBeUndefined()
  })

  it.each<readonly [Door, Door]>([
    ['TCP', 'TCP'],
    ['TCP', 'WSS'],
    ['WSS', 'TCP'],
    ['WSS', 'WSS'],
    ['WS', 'WSS'],
    ['WSS', 'WS'],
    ['WS', 'TCP'],
  ])('carries 64 MiB each way between a controller on %s and a device on %s', async (ours, theirs) => {
    const device = await stack.device({ ...(await clientAt(theirs)), password: PASSWORD, mayListen: false })
    const meeting = await meetAtRelay(await stack.controller(await clientAt(ours)), device)
    expect({ path: meeting.ours.path, encrypted: meeting.ours.isEncrypted }).toEqual({ path: 'relay', encrypted: true })
    expect(await carries(meeting, BYTES)).toBe(true)
  })

  it('lets nobody reach Redis but the programs', async () => {
    const redis = await stack.container('redis')
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}|{{json .HostConfig.PortBindings}}'
    const [addresses = '', published] = (await run('docker', ['inspect', '-f', format, redis])).stdout.trim().split('|')
    expect(addresses).toMatch(/^[\d.]+ $/)
    expect(published).toMatch(/^(\{\}|null)$/)

    const target = [`${addresses.trim()}:${REDIS_PORT}`]
    // One from which it answers, so that silence elsewhere means something.
    expect(await openPorts(`${stack.project}_state`, target)).toEqual(target)
    const front = await stack.addressOf('nginx')
    const neighbours = Array.from({ length: 254 }, (_, i) => `${front.replace(/\d+$/, `${i + 1}`)}:${REDIS_PORT}`)
    const hbbs = `${await stack.addressOf('hbbs')}:${stack.port}`
    expect(await openPorts(`${stack.project}_front`, [...target, ...neighbours, `redis:${REDIS_PORT}`, hbbs])).toEqual([
      hbbs,
    ])
    expect(await openPorts('bridge', target)).toEqual([])
  })
})

/** TCP: published by the programs. WS, WSS: through nginx, without and with TLS. */
type Door = 'TCP' | 'WS' | 'WSS'

/** Why a certificate is not believed; undefined: it is. */
async function refusal(port: number): Promise<string | undefined> {
  const socket = connect({ host: 'localhost', port, servername: 'localhost' })
  try {
    await once(socket, 'secureConnect')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  } finally {
    socket.destroy()
  }
}
