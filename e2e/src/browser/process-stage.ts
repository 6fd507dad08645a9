import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apiPort } from '../site/free-ports.ts'
import { Site } from '../site/site.ts'
import { prepare } from './certificates.ts'
import { ReverseProxy } from './reverse-proxy.ts'
import { STAGE_HOST, type Stage } from './stage.ts'
import { WebPage } from './web-page.ts'

/** The built programs and the system's nginx as processes of this machine, where no container engine answers. */
export async function startProcesses(): Promise<Stage> {
  const cleanUps: (() => unknown)[] = []
  const close = async () => {
    for (let cleanUp = cleanUps.pop(); cleanUp; cleanUp = cleanUps.pop()) await cleanUp()
  }
  try {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-prepared-'))
    cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
    const { authority } = await prepare(folder, STAGE_HOST)
    const settings = { env: { PUBLIC_HOST: STAGE_HOST, TRUSTED_PROXIES: '127.0.0.1' }, args: ['-k', ''] }
    const site = await Site.start({ dataFolder: folder, hbbs: settings, hbbr: settings })
    cleanUps.push(() => site.close())
    const page = new WebPage()
    cleanUps.push(() => page.remove())
    const { webSocket, relayWebSocket, main } = site.ports
    const proxy = await ReverseProxy.start({
      certificates: folder,
      upstreams: { webSocketId: webSocket, webSocketRelay: relayWebSocket, api: apiPort(site.ports) },
      locations: page.locationsAt(page.folder),
    })
    cleanUps.push(() => proxy.close())
    const { httpPort, httpsPort } = proxy
    return { server: { host: '127.0.0.1', port: main, key: site.key }, authority, httpPort, httpsPort, close }
  } catch (error) {
    await close()
    throw error
  }
}
