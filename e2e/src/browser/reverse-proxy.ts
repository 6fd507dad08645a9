import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort } from '../site/free-ports.ts'
import { waitUntil } from '../site/wait-until.ts'
import { program } from './programs.ts'

const CONFIGURATION = resolve(import.meta.dirname, '../../../nginx')

export interface ReverseProxyOptions {
  /** Folder of the certificate and its key. */
  readonly certificates: string
  readonly upstreams: { readonly webSocketId: number; readonly webSocketRelay: number; readonly api: number }
  /** What stands in `locations.d`. */
  readonly locations: string
}

/** nginx with the files that the containers use, on free ports of loopback. */
export class ReverseProxy {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-nginx-'))
  #child: ChildProcess | undefined

  private constructor(
    readonly httpPort: number,
    readonly httpsPort: number,
  ) {}

  static async start(options: ReverseProxyOptions): Promise<ReverseProxy> {
    const proxy = new ReverseProxy(await freePort(), await freePort())
    try {
      proxy.#writeConfiguration(options)
      await proxy.#run()
      return proxy
    } catch (error) {
      await proxy.close()
      throw error
    }
  }

  async close(): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Does what the image's entry point does, for paths and ports of our own. */
  #writeConfiguration({ certificates, upstreams, locations }: ReverseProxyOptions): void {
    const folder = this.#folder
    const variables: Record<string, string | number> = {
      HBBS_HOST: '127.0.0.1',
      HBBR_HOST: '127.0.0.1',
      API_HOST: '127.0.0.1',
      PORT_WS_ID: upstreams.webSocketId,
      PORT_WS_RELAY: upstreams.webSocketRelay,
      PORT_API: upstreams.api,
    }
    const adapt = (text: string) =>
      text
        // First, since our own folders lie there too.
        .replace(/ \/tmp\//g, ` ${folder}/`)
        .replace(/\$\{(\w+)\}/g, (whole, name: string) => String(variables[name] ?? whole))
        .replaceAll('listen 8080', `listen 127.0.0.1:${this.httpPort}`)
        .replaceAll('listen 8443', `listen 127.0.0.1:${this.httpsPort}`)
        .replaceAll('/etc/nginx/tls', certificates)
        .replace(/\/etc\/nginx\/(conf\.d|locations\.d)/g, `${folder}/$1`)
    mkdirSync(join(folder, 'conf.d'))
    for (const name of readdirSync(join(CONFIGURATION, 'templates'))) {
      const text = readFileSync(join(CONFIGURATION, 'templates', name), 'utf8')
      writeFileSync(join(folder, 'conf.d', name.replace(/\.template$/, '')), adapt(text))
    }
    writeFileSync(join(folder, 'nginx.conf'), adapt(readFileSync(join(CONFIGURATION, 'nginx.conf'), 'utf8')))
    cpSync(join(CONFIGURATION, 'locations.d'), join(folder, 'locations.d'), { recursive: true })
    writeFileSync(join(folder, 'locations.d', 'test.conf'), locations)
  }

  async #run(): Promise<void> {
    const logFile = join(this.#folder, 'log')
    // A file: nginx opens what it is told to write to, which no socket allows.
    const log = openSync(logFile, 'a')
    // Its workers see what we see: the folders of tests are our own.
    const globals = `daemon off; ${process.getuid?.() === 0 ? `user ${userInfo().username};` : ''}`
    const args = ['-p', this.#folder, '-c', join(this.#folder, 'nginx.conf'), '-g', globals]
    const child = spawn(program('nginx'), args, { stdio: ['ignore', log, log] })
    this.#child = child
    await waitUntil('nginx listens', () => {
      if (child.exitCode !== null) throw new Error(`nginx ended:\n${readFileSync(logFile, 'utf8')}`)
      return accepts(this.httpsPort)
    })
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
