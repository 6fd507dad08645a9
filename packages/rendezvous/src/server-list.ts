/** The list of ID servers that clients with an older one are given; a legacy (docs/protocol.md, server list). */
export class ServerList {
  #serial: number
  #servers: readonly string[]

  constructor(serial: number, servers: readonly string[]) {
    this.#serial = serial
    this.#servers = servers
  }

  get serial(): number {
    return this.#serial
  }

  get servers(): readonly string[] {
    return this.#servers
  }

  /** Whether a client that holds `serial` is to be given the list. */
  isNewerThan(serial: number): boolean {
    return this.#serial > serial
  }

  /** Takes a newer list. False when it is none. */
  replace(serial: number, servers: readonly string[]): boolean {
    if (serial <= this.#serial) return false
    this.#serial = serial
    this.#servers = servers.filter((server) => server !== '')
    return true
  }
}

/**
 * Version in the name of a download: what follows the last `-`, without the extension. `https://e/rustdesk-1.4.9.exe`
 * is 1.4.9.
 */
export function softwareVersionOf(url: string): string {
  const name = url.slice(url.lastIndexOf('-') + 1)
  const dot = name.lastIndexOf('.')
  const extension = name.slice(dot + 1)
  return dot < 0 || /^\d+$/.test(extension) ? name : name.slice(0, dot)
}
