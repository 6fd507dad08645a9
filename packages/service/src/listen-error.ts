import { codeOf } from './error-code.ts'
import { findPortOwner, type PortOwner, type PortProtocol } from './port-owner.ts'

export interface ListenTarget {
  readonly port: number
  readonly protocol: PortProtocol
  /** What to change to listen elsewhere. */
  readonly setting?: string
}

/** A port cannot be listened on; the message says why, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'

  constructor(
    message: string,
    readonly code: string,
    cause: unknown,
  ) {
    super(message, { cause })
  }
}

/** The error in words, with the program that has the port where that can be found out. */
export async function describeListenError(
  error: unknown,
  { port, protocol, setting = 'PORT' }: ListenTarget,
  findOwner = findPortOwner,
): Promise<ListenError> {
  const code = codeOf(error)
  const what = `${protocol.toUpperCase()} port ${port}`
  if (code === 'EADDRINUSE') {
    const owner = await findOwner(port, protocol)
    return new ListenError(
      `${what} is in use${owner ? ` by ${ownerInWords(owner)}` : ''}; stop that program, or set ${setting}`,
      code,
      error,
    )
  }
  if (code === 'EACCES') {
    return new ListenError(
      `${what} needs rights that this user does not have; set ${setting} to one above 1023`,
      code,
      error,
    )
  }
  if (code === 'EADDRNOTAVAIL') {
    return new ListenError(
      `${what}: the address is none of this machine's; set BIND or ${setting} to one of its own`,
      code,
      error,
    )
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new ListenError(`${what}: no descriptor is free; raise the limit of open files (ulimit -n)`, code, error)
  }
  return new ListenError(`${what} cannot be listened on: ${error instanceof Error ? error.message : code}`, code, error)
}

const ownerInWords = ({ name, pid }: PortOwner) =>
  pid === process.pid ? 'this very process' : `${name} (process ${pid})`
