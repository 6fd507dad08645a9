import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BoxKeyPair } from '@tryst/protocol/secure-tcp'
import { HiddenSources } from '@tryst/rendezvous'
import { createLogger, loadKeyPair, parseHbbsConfig } from '@tryst/service'
import { EventLog } from '../src/event-log.ts'
import { Hbbs } from '../src/hbbs.ts'
import { hbbsOptions } from '../src/options.ts'
import { openState } from '../src/state.ts'

export interface HbbsInProcessOptions {
  /** Secret key, as in the setting. */
  readonly key: string
  readonly env?: Readonly<Record<string, string>>
  /** The pair that clients are offered. */
  readonly createKeyPair: () => BoxKeyPair
}

/** An ID server in this process, on ports that the system draws, with a database in a folder of its own. */
export class HbbsInProcess {
  private constructor(
    readonly hbbs: Hbbs,
    private readonly folder: string,
  ) {}

  static async start({ key, env = {}, createKeyPair }: HbbsInProcessOptions): Promise<HbbsInProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-hbbs-'))
    const parsed = parseHbbsConfig({
      ...{ argv: [], cwd: folder, version: '1', readFile: () => undefined },
      env: { KEY: key, DB_URL: join(folder, 'db_v2.sqlite3'), ...env },
    })
    if (parsed.kind !== 'run') throw new Error(parsed.text)
    const { config } = parsed
    const log = createLogger({ service: 'hbbs', level: 'silent', format: 'json' })
    const keys = await loadKeyPair({ key, use: 'sign', folder })
    const state = await openState(config, keys, log)
    const nothing = () => undefined
    const hbbs = await Hbbs.start(
      { ...hbbsOptions(config, keys.expectedKey), port: 0, bind: '127.0.0.1' },
      {
        ...state,
        ...{ signer: keys.signer, createKeyPair, events: new EventLog(log, nothing) },
        sources: new HiddenSources({ gateways: () => [], onHidden: nothing, onSeen: nothing }),
        ...{ onUnresolvedRelays: nothing, onConnectionLimit: nothing, onProxyHeaderFailure: nothing },
        onSocketError: (error) => {
          throw error
        },
      },
    )
    return new HbbsInProcess(hbbs, folder)
  }

  async close(): Promise<void> {
    await this.hbbs.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
