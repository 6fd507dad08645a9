import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { Device } from '@tryst/client'
import { encodeBase64 } from '@tryst/protocol'
import { Chromium } from '../src/browser/chromium.ts'
import { startContainers } from '../src/browser/container-stage.ts'
import { startProcesses } from '../src/browser/process-stage.ts'
import { NO_BROWSER } from '../src/browser/programs.ts'
import { STAGE_HOST, type Stage } from '../src/browser/stage.ts'
import { type VisitOutcome, visit } from '../src/browser/visit.ts'
import { PAGE_PATH } from '../src/browser/web-page.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { exchangeAt, type Transfer } from '../src/site/exchange.ts'

// A browser takes its time to start on a busy machine.
jest.setTimeout(120_000)
/** Images are built first, which may take minutes when there are none. */
const STAGE_LIMIT_MS = 900_000

const hasEngine = NO_BROWSER === undefined && NO_ENGINE === undefined
const suite = NO_BROWSER === undefined ? describe : describe.skip
const where = NO_BROWSER ? `(skipped: ${NO_BROWSER})` : hasEngine ? 'with the containers' : 'with processes'

const BYTES = 8 << 20
const PASSWORD = 'secret'

let stage: Stage
let browser: Chromium | undefined
let device: Device | undefined

suite(`a controller in a browser, ${where}`, () => {
  beforeAll(async () => {
    stage = hasEngine ? await startContainers() : await startProcesses()
  }, STAGE_LIMIT_MS)

  afterEach(async () => {
    await Promise.all([browser?.close(), device?.close()])
    browser = undefined
    device = undefined
  })

  afterAll(() => stage?.close())

  async function openBrowser(
    trusts: { readonly authority?: string } = { authority: stage.authority },
  ): Promise<Chromium> {
    browser = await Chromium.start({
      ...trusts,
      redirections: {
        [`${STAGE_HOST}:80`]: `127.0.0.1:${stage.httpPort}`,
        [`${STAGE_HOST}:443`]: `127.0.0.1:${stage.httpsPort}`,
      },
    })
    return browser
  }

  /** A device that gives as much as it gets, and what it will have moved. */
  async function answeringDevice(): Promise<{ readonly id: string; readonly transfer: Promise<Transfer> }> {
    const { promise, resolve } = Promise.withResolvers<Transfer>()
    device = new Device({
      server: stage.server,
      natType: 'asymmetric',
      password: PASSWORD,
      hostname: 'scripted',
      onSession: (session) => resolve(exchangeAt(session, BYTES)),
    })
    await device.start()
    return { id: (await device.online()).id, transfer: promise }
  }

  const settings = (key = stage.server.key) => ({ host: STAGE_HOST, port: stage.server.port, key })

  it('finds, verifies and uses a device through nginx, over TLS alone', async () => {
    const { id, transfer } = await answeringDevice()
    const { page, complaints } = await openBrowser()
    const sockets: string[] = []
    page.on('websocket', (webSocket) => sockets.push(webSocket.url()))
    const response = await page.goto(`https://${STAGE_HOST}${PAGE_PATH}`)
    expect(response?.headers()['content-security-policy']).toContain("script-src 'self' 'wasm-unsafe-eval'")

    const outcome = await visit(page, {
      server: settings(),
      deviceId: id,
      options: { password: PASSWORD },
      bytes: BYTES,
    })

    const { sent, received } = await transfer
    expect(outcome).toEqual({
      kind: 'session',
      path: 'relay',
      isEncrypted: true,
      hostname: 'scripted',
      transfer: { sent: received, received: sent },
    } satisfies VisitOutcome)
    expect(sockets).toEqual([`wss://${STAGE_HOST}/ws/id`, `wss://${STAGE_HOST}/ws/relay`])
    expect(complaints).toEqual([])
  })

  it('runs where a page may run no code but its own', async () => {
    const { page } = await openBrowser()
    await page.goto(`https://${STAGE_HOST}${PAGE_PATH}`)
    // From a timer, since what the debugger itself calls may do more.
    const attempt = () =>
      new Promise((resolve) => {
        setTimeout(() => {
          try {
            resolve(new Function('return "allowed"')())
          } catch (error) {
            resolve((error as Error).name)
          }
        })
      })
    expect(await page.evaluate(attempt)).toBe('EvalError')
  })

  it('is refused with a wrong password', async () => {
    const { id } = await answeringDevice()
    const { page } = await openBrowser()
    await page.goto(`https://${STAGE_HOST}${PAGE_PATH}`)
    const what = { server: settings(), deviceId: id, options: { password: 'wrong' }, bytes: 1 }
    expect(await visit(page, what)).toEqual({ kind: 'refused', failure: 'login', text: 'Wrong Password' })
  })

  it('refuses a device that a server with another key vouches for', async () => {
    const { id } = await answeringDevice()
    const { page } = await openBrowser()
    await page.goto(`https://${STAGE_HOST}${PAGE_PATH}`)
    const otherKey = encodeBase64(crypto.getRandomValues(new Uint8Array(32)))
    const what = { server: settings(otherKey), deviceId: id, options: { password: PASSWORD }, bytes: 1 }
    expect(await visit(page, what)).toMatchObject({ kind: 'refused', failure: 'unencrypted' })
  })

  it('does not connect to a server whose certificate nobody vouches for', async () => {
    const { page, complaints } = await openBrowser({})
    // The page itself may come unencrypted from one's own machine.
    await page.goto(`http://${STAGE_HOST}${PAGE_PATH}`)
    const server = { ...settings(), webSocketScheme: 'wss' } as const
    const outcome = await visit(page, { server, deviceId: '1', options: {}, bytes: 1 })
    expect(outcome).toMatchObject({ kind: 'refused', failure: 'serverUnreachable' })
    expect(complaints.join('\n')).toContain('ERR_CERT_AUTHORITY_INVALID')
    await expect(page.goto(`https://${STAGE_HOST}${PAGE_PATH}`)).rejects.toThrow('ERR_CERT_AUTHORITY_INVALID')
  })
})
