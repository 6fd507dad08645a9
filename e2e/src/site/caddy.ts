import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { apiPort, freePort, type SitePorts } from './free-ports.ts'
import { waitUntil } from './wait-until.ts'

const CADDYFILE = resolve(import.meta.dirname, '../../../proxies/Caddyfile')

/** Why Caddy can't stand before a site here; undefined: it can. */
export const NO_CADDY: string | undefined =
  spawnSync('caddy', ['version']).status === 0 ? undefined : 'caddy is not installed; install the package caddy'

/** Caddy before the servers of one machine, as `proxies/Caddyfile` has it, with a certificate of its own authority. */
export class Caddy {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-caddy-'))
  #child: ChildProcess | undefined

  private constructor(
    readonly httpPort: number,
    readonly httpsPort: number,
  ) {}

  /** @param host for which it has a certificate */
  static async start(host: string, ports: SitePorts): Promise<Caddy> {
    const caddy = new Caddy(await freePort(), await freePort())
    try {
      await caddy.#run(host, ports)
      return caddy
    } catch (error) {
      await caddy.close()
      throw error
    }
  }

  /** What its certificate is signed by. */
  get authority(): string {
    return readFileSync(join(this.#folder, 'caddy/pki/authorities/local/root.crt'), 'utf8')
  }

  async close(): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #run(host: string, ports: SitePorts): Promise<void> {
    const file = join(this.#folder, 'Caddyfile')
    // Other ports, nothing that other Caddies of this machine have, and no authority for the whole system.
    const ours = `http_port ${this.httpPort}\nhttps_port ${this.httpsPort}\nadmin off\nlocal_certs\nskip_install_trust\n`
    writeFileSync(file, readFileSync(CADDYFILE, 'utf8').replace(/^\{\n/m, `{\n${ours}`))
    const logFile = join(this.#folder, 'log')
    const log = openSync(logFile, 'a')
    const child = spawn('caddy', ['run', '--adapter', 'caddyfile', '--config', file], {
      env: {
        PATH: process.env.PATH,
        HOME: this.#folder,
        XDG_DATA_HOME: this.#folder,
        XDG_CONFIG_HOME: this.#folder,
        PUBLIC_HOST: host,
        HBBS: `127.0.0.1:${ports.webSocket}`,
        HBBR: `127.0.0.1:${ports.relayWebSocket}`,
        API: `127.0.0.1:${apiPort(ports)}`,
      },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#child = child
    await waitUntil(
      'Caddy answers',
      async () => {
        if (child.exitCode !== null) throw new Error(`caddy ended:\n${readFileSync(logFile, 'utf8')}`)
        const answer = await fetch(`http://${host}:${this.httpPort}/`).catch(() => undefined)
        return answer !== undefined && readFileSync(logFile, 'utf8').includes('certificate obtained successfully')
      },
      60_000,
    )
  }
}
