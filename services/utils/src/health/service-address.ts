import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { decodeBase64, encodeBase64, SECRET_KEY_BYTES } from '@tryst/protocol'
import { environmentSource, fileSource, normaliseName, type SettingSource } from '@tryst/service/setting-sources'
import type { RunningService, ServiceName } from './running-service.ts'

/** Where a service answers, and what it asks for. */
export interface ServiceAddress {
  readonly host: string
  readonly port: number
  /** What clients have to present; empty: nothing. */
  readonly key: string
  readonly secretKey: Uint8Array | undefined
}

/** Each service's port, by that of the ID server, which the variable PORT names for all of them. */
const DISTANCE: Readonly<Record<ServiceName, number>> = { hbbs: 0, hbbr: 1, api: -2 }
const DEFAULT_ID_PORT = 21_116
const KEY_FILE = 'id_ed25519'

/**
 * The few settings that a check needs, found as the service finds them (docs/configuration.md). They are not read as
 * the service reads them, which takes longer than the check itself; values that it would refuse keep it from running.
 */
export function serviceAddress(service: RunningService): ServiceAddress {
  const read = settingsOf(service)
  const flag = flagOf(service.argv, 'p', 'port')
  const idPort = Number(read('PORT')) || DEFAULT_ID_PORT
  return {
    host: hostOf(flagOf(service.argv, 'b', 'bind') ?? read('BIND'), read('CONSOLE')),
    port: flag === undefined ? idPort + DISTANCE[service.name] : Number(flag),
    ...keyOf(flagOf(service.argv, 'k', 'key') ?? read('KEY') ?? '', service.folder),
  }
}

function settingsOf({ argv, env, folder }: RunningService): (variable: string) => string | undefined {
  const files = [flagOf(argv, 'c', 'config'), '.env'].map((path) => path && readIfThere(join(folder, path)))
  const sources: readonly SettingSource[] = [
    ...files.flatMap((content) => (content ? [fileSource('', content).source] : [])),
    environmentSource(env),
  ]
  return (variable) => {
    for (const { values } of sources) {
      const given = values.get(normaliseName(variable))
      if (given) return given.text
      const file = values.get(normaliseName(`${variable}_FILE`))
      if (file?.text) return readIfThere(join(folder, file.text))?.trim()
    }
    return undefined
  }
}

/** `-p 1`, `-p1`, `--port 1` or `--port=1`; of several the last. */
function flagOf(argv: readonly string[], short: string, long: string): string | undefined {
  let value: string | undefined
  for (const [at, word] of argv.entries()) {
    if (word === `-${short}` || word === `--${long}`) value = argv[at + 1]
    else if (word.startsWith(`--${long}=`)) value = word.slice(long.length + 3)
    else if (word.startsWith(`-${short}`) && !word.startsWith('--')) value = word.slice(2)
  }
  return value
}

/** With the text console, what comes from loopback gets that. */
function hostOf(bind: string | undefined, console: string | undefined): string {
  if (bind && bind !== '0.0.0.0' && bind !== '::') return bind
  if (console?.toUpperCase() !== 'Y') return '127.0.0.1'
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1'
}

function keyOf(key: string, folder: string): Pick<ServiceAddress, 'key' | 'secretKey'> {
  const isOfFiles = key === '' || key === '-' || key === '_'
  const text = isOfFiles ? readIfThere(join(folder, KEY_FILE)) : key
  const bytes = decodeBase64(text?.trim() ?? '')
  const secretKey = bytes?.length === SECRET_KEY_BYTES ? bytes : undefined
  const publicKey = secretKey && encodeBase64(secretKey.subarray(SECRET_KEY_BYTES / 2))
  return { key: key === '' ? '' : (publicKey ?? key), secretKey }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
