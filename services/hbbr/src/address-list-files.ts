import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AddressList } from '@tryst/relay'
import type { Logger } from '@tryst/service'

export interface AddressLists {
  readonly blocklist: AddressList
  readonly blacklist: AddressList
}

/** The optional files of the working directory, in the order of the log (docs/operating.md, block and black lists). */
const FILES = [
  ['blacklist', 'blacklist.txt'],
  ['blocklist', 'blocklist.txt'],
] as const

export const newAddressLists = (): AddressLists => ({ blocklist: new AddressList(), blacklist: new AddressList() })

/** Fills the lists from their files, at start and on SIGHUP; what the console added is gone then. */
export function readAddressLists(lists: AddressLists, folder: string, log: Logger): void {
  for (const [name, file] of FILES) {
    const text = readIfThere(join(folder, file), log)
    if (text === undefined) continue
    for (const entry of lists[name].replaceWith(text)) {
      log.warn({ file, entry }, 'neither an IP address nor a range; the line is ignored')
    }
    log.info(`#${name}(${file}): ${lists[name].size}`)
  }
}

/** An empty text where there is no file; undefined, with a word in the log, where it can't be read. */
function readIfThere(path: string, log: Logger): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (err) {
    if (err instanceof Error && 'code' in err && err.code === 'ENOENT') return ''
    log.error({ err, path }, 'the list cannot be read; what was in force stays')
    return undefined
  }
}
