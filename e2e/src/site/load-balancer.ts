import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitUntil } from './wait-until.ts'

/** Why HAProxy can't stand before a site here; undefined: it can. */
export const NO_HAPROXY: string | undefined =
  spawnSync('haproxy', ['-v']).status === 0 ? undefined : 'haproxy is not installed; install the package haproxy'

export interface LoadBalancerOptions {
  /** Where clients connect. */
  readonly address: string
  /** Where its own connections come from. */
  readonly from: string
  /** The same ports on both sides. */
  readonly ports: readonly number[]
  readonly header: 'send-proxy' | 'send-proxy-v2' | 'no header'
}

/** HAProxy before servers at 127.0.0.1, with a check of each of them. */
export class LoadBalancer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  static async start({ address, from, ports, header }: LoadBalancerOptions): Promise<LoadBalancer> {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-haproxy-'))
    const file = join(folder, 'haproxy.cfg')
    const send = header === 'no header' ? '' : header
    const listeners = ports.map((port) =>
      [
        `listen port${port}`,
        `  bind ${address}:${port}`,
        `  server tryst 127.0.0.1:${port} source ${from} check inter 100ms ${send}`,
      ].join('\n'),
    )
    const defaults = 'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m'
    writeFileSync(file, `${[defaults, ...listeners].join('\n')}\n`)
    const child = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' })
    const balancer = new LoadBalancer(child, folder)
    try {
      for (const port of ports) {
        await waitUntil(`HAProxy at ${address}:${port}`, () => {
          if (child.exitCode !== null) throw new Error(`haproxy ended with ${child.exitCode}`)
          return accepts(address, port)
        })
      }
    } catch (error) {
      await balancer.close()
      throw error
    }
    return balancer
  }

  async close(): Promise<void> {
    const { child } = this
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
