/** The list of ID servers that clients with an older one are given; a legacy (docs/protocol.md, server list). */
export class ServerList {
  constructor(
    public serial: number,
    public servers: readonly string[],
  ) {}

  /** Whether a client that holds `serial` is to be given the list. */
  isNewerThan(serial: number): boolean {
    return this.serial > serial
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
