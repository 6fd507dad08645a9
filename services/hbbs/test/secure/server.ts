import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Signer } from '@tryst/protocol'
import type { BoxKeyPair } from '@tryst/protocol/secure-tcp'
import { type HttpProxy, noTickets } from '@tryst/rendezvous'
import { createLogger, createMetrics, parseHbbsConfig } from '@tryst/service'
import {
  InProcessCluster,
  InProcessHub,
  InProcessRelayDirectory,
  LoneNode,
  SqliteAccessStore,
  SqliteIdentityStore,
} from '@tryst/state-sqlite'
import { EventLog } from '../../src/event-log.ts'
import { Hbbs } from '../../src/hbbs.ts'
import { hbbsOptions } from '../../src/options.ts'
import { watchSources } from '../../src/source-watch.ts'

export interface TestServerOptions {
  /** Undefined: the server has no secret key. */
  readonly signer: Signer | undefined
  readonly expectedKey?: string | undefined
  readonly createKeyPair?: () => BoxKeyPair
  readonly httpProxy?: HttpProxy
  readonly env?: NodeJS.ProcessEnv
}

/** ID servers in this process that share their state, on ports of 127.0.0.1 that the system draws. */
export class TestServers {
  readonly nodes: Hbbs[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'tryst-secure-'))
  readonly #identities = new SqliteIdentityStore({ path: join(this.#folder, 'db.sqlite3') })
  readonly #access = new SqliteAccessStore(join(this.#folder, 'db.sqlite3'))

  static async start(count: number, options: TestServerOptions): Promise<TestServers> {
    const servers = new TestServers()
    const hub = new InProcessHub()
    const log = createLogger({ service: 'hbbs', level: 'silent', format: 'json' })
    const parsed = parseHbbsConfig({
      ...{ argv: [], env: options.env ?? {}, cwd: servers.#folder, readFile: () => undefined, version: '0' },
    })
    if (parsed.kind !== 'run') throw new Error(parsed.text)
    for (let i = 0; i < count; i++) {
      servers.nodes.push(
        await Hbbs.start(
          { ...hbbsOptions(parsed.config, options.expectedKey), port: 0, bind: '127.0.0.1' },
          {
            ...options,
            identities: servers.#identities,
            access: servers.#access,
            cluster: count === 1 ? new LoneNode() : new InProcessCluster(hub),
            announcedRelays: new InProcessRelayDirectory(Date.now),
            tickets: noTickets,
            events: new EventLog(log, () => undefined),
            sources: watchSources(log, createMetrics()),
            onUnresolvedRelays: () => undefined,
            onConnectionLimit: () => undefined,
            onProxyHeaderFailure: () => undefined,
            onSocketError: (error) => {
              throw error
            },
          },
        ),
      )
    }
    return servers
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()))
    this.#access.close()
    rmSync(this.#folder, { recursive: true })
  }
}
