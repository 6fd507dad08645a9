import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { encodeRendezvous, type OutgoingRendezvousMessage, unmangleAddress } from '@tryst/protocol'
import { WebSocket } from 'ws'
import { carries, meetAtRelay, PASSWORD, trust } from '../src/containers/meet.ts'
import { Caddy, NO_CADDY } from '../src/site/caddy.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site } from '../src/site/site.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const HOST = 'localhost'
const CLIENT = '127.0.0.30'
const FORGED = '203.0.113.7'

const suite = NO_CADDY === undefined ? describe : describe.skip

suite(`Caddy with proxies/Caddyfile${NO_CADDY === undefined ? '' : ` (skipped: ${NO_CADDY})`}`, () => {
  let site: Site
  let caddy: Caddy
  let distrust: (() => void) | undefined

  beforeAll(async () => {
    const settings = { env: { PUBLIC_HOST: HOST, TRUSTED_PROXIES: '127.0.0.1' } }
    site = await Site.start({ programs: ['hbbs', 'hbbr', 'api'], hbbs: settings, hbbr: settings, api: settings })
    caddy = await Caddy.start(HOST, site.ports)
    distrust = trust(caddy.authority)
  })
  afterEach(() => site?.dismissGuests())
  afterAll(async () => {
    distrust?.()
    await caddy?.close()
    await site?.close()
  })

  const origin = (scheme: 'ws' | 'wss') => `${scheme}://${HOST}:${scheme === 'wss' ? caddy.httpsPort : caddy.httpPort}`

  /** Sends one message from CLIENT, which says that it is somebody else. */
  async function sendFromClient(url: string, message: OutgoingRendezvousMessage): Promise<void> {
    const headers = { 'X-Real-IP': FORGED, 'X-Forwarded-For': FORGED, Forwarded: `for=${FORGED}` }
    const socket = new WebSocket(url, { ca: caddy.authority, localAddress: CLIENT, family: 4, headers })
    site.guest({ close: () => socket.terminate() })
    await once(socket, 'open')
    socket.send(encodeRendezvous(message))
  }

  it.each(['wss', 'ws'] as const)('carries sessions whose both ends come by %s', async (scheme) => {
    const webSocketPort = scheme === 'wss' ? caddy.httpsPort : caddy.httpPort
    const server = { ...site.server, host: HOST, webSocketScheme: scheme, webSocketPort }
    // Registration has no way through a proxy yet; all the rest of the device goes there.
    const client = { server, transport: 'websocket', registration: 'udp' } as const
    const device = await site.device({ ...client, password: PASSWORD, mayListen: false })
    const meeting = await meetAtRelay(site.controller({ server, transport: 'websocket' }), device)
    expect({ path: meeting.ours.path, encrypted: meeting.ours.isEncrypted }).toEqual({ path: 'relay', encrypted: true })
    expect(await carries(meeting, 16 << 20)).toBe(true)
  })

  it.each(['wss', 'ws'] as const)('shows hbbs the address of a client by %s, whatever that says', async (scheme) => {
    const device = await RawDevice.online(site)
    const message = { punchHoleRequest: { id: device.id, licenceKey: site.key, natType: 2 } } as const
    await sendFromClient(`${origin(scheme)}/ws/id`, message)
    const { punchHole } = await device.next()
    expect(unmangleAddress(punchHole?.socketAddr ?? new Uint8Array(0)).ip).toBe(CLIENT)
  })

  it.each(['wss', 'ws'] as const)('shows hbbr the address of a client by %s, whatever that says', async (scheme) => {
    const uuid = `seen-by-${scheme}`
    await sendFromClient(`${origin(scheme)}/ws/relay`, { requestRelay: { uuid, licenceKey: site.key, id: '1' } })
    const { msg } = await site.hbbr.logged(new RegExp(`New relay request ${uuid} from`))
    expect(msg).toMatch(new RegExp(` from ${CLIENT.replaceAll('.', '\\.')}(:\\d+)?$`))
  })

  it('is not believed by those who do not know its authority', async () => {
    distrust?.()
    try {
      await expect(fetch(`https://${HOST}:${caddy.httpsPort}/`)).rejects.toThrow('fetch failed')
    } finally {
      distrust = trust(caddy.authority)
    }
  })

  it.each(['http', 'https'] as const)(
    'serves the status page and the API over %s, without a redirect',
    async (scheme) => {
      const at = `${scheme}://${HOST}:${scheme === 'https' ? caddy.httpsPort : caddy.httpPort}`
      const page = await fetch(`${at}/`, { redirect: 'error' })
      expect(await page.text()).toContain(site.key)
      expect(await (await fetch(`${at}/api/login-options`, { redirect: 'error' })).json()).toEqual([])
    },
  )
})
