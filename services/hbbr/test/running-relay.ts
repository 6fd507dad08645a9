import { DEFAULT_BANDWIDTH, DEFAULT_RELAY_SETTINGS, type RelaySettings } from '@tryst/relay'
import { createLogger } from '@tryst/service'
import type { SocketReading } from '@tryst/transport'
import { newAddressLists } from '../src/address-list-files.ts'
import { EventLog } from '../src/event-log.ts'
import { Hbbr, type HbbrOptions, type HbbrParts } from '../src/hbbr.ts'

/** No limit that a test would notice. */
export const UNLIMITED = { ...DEFAULT_BANDWIDTH, singleMegabits: 1_000_000, totalMegabits: 1_000_000 }

export interface RunningRelay {
  readonly hbbr: Hbbr
  readonly ports: { readonly tcp: number; readonly webSocket: number }
  readonly lists: ReturnType<typeof newAddressLists>
  readonly logLines: string[]
}

export interface TestOptions extends Partial<Omit<HbbrOptions, 'settings'>> {
  readonly settings?: Partial<RelaySettings>
  readonly reading?: SocketReading
}

/** A relay on ports that the system draws. */
export async function startRelay(
  { settings = {}, ...options }: TestOptions = {},
  parts: Pick<HbbrParts, 'broker' | 'offers'> = {},
): Promise<RunningRelay> {
  const logLines: string[] = []
  const log = createLogger({
    service: 'hbbr',
    level: 'debug',
    destination: { write: (line: string) => logLines.push(JSON.parse(line).msg) },
  })
  const lists = newAddressLists()
  const hbbr = await Hbbr.start(
    {
      port: 0,
      bind: '127.0.0.1',
      connectionsPerSource: 10_000,
      connectionsTotal: 10_000,
      trustedProxies: ['127.0.0.0/8'],
      textConsole: 'off',
      reading: 'pooled',
      drainMs: 0,
      ...options,
      settings: {
        ...DEFAULT_RELAY_SETTINGS,
        expectedKey: undefined,
        bandwidth: UNLIMITED,
        waiting: { perSource: 10_000, total: 10_000 },
        ...settings,
      },
    },
    { lists, eventLog: new EventLog(log), ...parts },
  )
  return { hbbr, ports: hbbr.ports, lists, logLines }
}
