import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { encodeBase64 } from '@tryst/protocol'
import { type Certificates, prepare } from '../src/browser/certificates.ts'
import { Chromium } from '../src/browser/chromium.ts'
import { NO_BROWSER } from '../src/browser/programs.ts'
import { ReverseProxy } from '../src/browser/reverse-proxy.ts'
import { type VisitOutcome, visit } from '../src/browser/visit.ts'
import { PAGE_PATH, WebPage } from '../src/browser/web-page.ts'
import { exchangeAt, type Transfer } from '../src/site/exchange.ts'
import { freePort } from '../src/site/free-ports.ts'
import { Site } from '../src/site/site.ts'

// A browser takes its time to start on a busy machine.
jest.setTimeout(120_000)

const suite = NO_BROWSER === undefined ? describe : describe.skip

/** A name that every program resolves alike, so that hbbs may give it to devices and browsers as the relay's. */
const HOST = 'localhost'
const BYTES = 8 << 20
const PASSWORD = 'secret'

let certificates: Certificates
let site: Site
let proxy: ReverseProxy
let webPage: WebPage
let browser: Chromium | undefined

suite(`a controller in a browser${NO_BROWSER ? ` (skipped: ${NO_BROWSER})` : ''}`, () => {
  beforeAll(async () => {
    certificates = await prepare(mkdtempSync(join(tmpdir(), 'tryst-prepared-')), HOST)
    const env = { PUBLIC_HOST: HOST, TRUSTED_PROXIES: '127.0.0.1' }
    // Whatever controllers present: a wrong key is then for the browser to find out.
    const open = { env, args: ['-k', ''] }
    site = await Site.start({ dataFolder: certificates.folder, hbbs: open, hbbr: open })
    webPage = new WebPage()
    proxy = await ReverseProxy.start({
      certificates: certificates.folder,
      upstreams: {
        webSocketId: site.ports.webSocket,
        webSocketRelay: site.ports.relayWebSocket,
        api: await freePort(),
      },
      locations: webPage.locations,
    })
  })

  afterEach(async () => {
    await browser?.close()
    browser = undefined
    await site.dismissGuests()
  })

  afterAll(async () => {
    await proxy?.close()
    webPage?.remove()
    await site?.close()
    if (certificates) rmSync(certificates.folder, { recursive: true, force: true })
  })

  async function openBrowser(trusts: { readonly authority?: string }): Promise<Chromium> {
    browser = await Chromium.start({
      ...trusts,
      redirections: {
        [`${HOST}:80`]: `127.0.0.1:${proxy.httpPort}`,
        [`${HOST}:443`]: `127.0.0.1:${proxy.httpsPort}`,
      },
    })
    return browser
  }

  /** A device that gives as much as it gets, and what it will have moved. */
  async function answeringDevice(): Promise<{ readonly id: string; readonly transfer: Promise<Transfer> }> {
    const { promise, resolve } = Promise.withResolvers<Transfer>()
    const device = await site.device({
      password: PASSWORD,
      hostname: 'scripted',
      onSession: (session) => resolve(exchangeAt(session, BYTES)),
    })
    return { id: device.id, transfer: promise }
  }

  const settings = (key = site.key) => ({ host: HOST, port: site.ports.main, key })

  it('finds, verifies and uses a device through nginx, over TLS alone', async () => {
    const device = await answeringDevice()
    const { page, complaints } = await openBrowser({ authority: certificates.authority })
    const sockets: string[] = []
    page.on('websocket', (webSocket) => sockets.push(webSocket.url()))
    const response = await page.goto(`https://${HOST}${PAGE_PATH}`)
    expect(response?.headers()['content-security-policy']).toContain("script-src 'self' 'wasm-unsafe-eval'")

    const outcome = await visit(page, {
      server: settings(),
      deviceId: device.id,
      options: { password: PASSWORD },
      bytes: BYTES,
    })

    const { sent, received } = await device.transfer
    expect(outcome).toEqual({
      kind: 'session',
      path: 'relay',
      isEncrypted: true,
      hostname: 'scripted',
      transfer: { sent: received, received: sent },
    } satisfies VisitOutcome)
    expect(sockets).toEqual([`wss://${HOST}/ws/id`, `wss://${HOST}/ws/relay`])
    expect(complaints).toEqual([])
  })

  it('runs where a page may run no code but its own', async () => {
    const { page } = await openBrowser({ authority: certificates.authority })
    await page.goto(`https://${HOST}${PAGE_PATH}`)
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
    const device = await answeringDevice()
    const { page } = await openBrowser({ authority: certificates.authority })
    await page.goto(`https://${HOST}${PAGE_PATH}`)
    const what = { server: settings(), deviceId: device.id, options: { password: 'wrong' }, bytes: 1 }
    expect(await visit(page, what)).toEqual({ kind: 'refused', failure: 'login', text: 'Wrong Password' })
  })

  it('refuses a device that a server with another key vouches for', async () => {
    const device = await answeringDevice()
    const { page } = await openBrowser({ authority: certificates.authority })
    await page.goto(`https://${HOST}${PAGE_PATH}`)
    const otherKey = encodeBase64(crypto.getRandomValues(new Uint8Array(32)))
    const what = { server: settings(otherKey), deviceId: device.id, options: { password: PASSWORD }, bytes: 1 }
    expect(await visit(page, what)).toMatchObject({ kind: 'refused', failure: 'unencrypted' })
  })

  it('does not connect to a server whose certificate nobody vouches for', async () => {
    const { page, complaints } = await openBrowser({})
    // The page itself may come unencrypted from one's own machine.
    await page.goto(`http://${HOST}${PAGE_PATH}`)
    const server = { ...settings(), webSocketScheme: 'wss' } as const
    const outcome = await visit(page, { server, deviceId: '1', options: {}, bytes: 1 })
    expect(outcome).toMatchObject({ kind: 'refused', failure: 'serverUnreachable' })
    expect(complaints.join('\n')).toContain('ERR_CERT_AUTHORITY_INVALID')
    await expect(page.goto(`https://${HOST}${PAGE_PATH}`)).rejects.toThrow('ERR_CERT_AUTHORITY_INVALID')
  })
})
