import { endianness } from 'node:os'

/** The system's own calls on UDP sockets, with its results: -1 and an error number when they fail. */
export interface UdpCalls {
  /** @returns the descriptor of an IPv4 socket that is bound; undefined when there is none, for whatever reason */
  openBound(packedIp: number, port: number, reusePort: boolean): number | undefined
  /** Nobody else may bind the port while this socket has it. */
  refuseReuse(fd: number): void
  close(fd: number): void
  recvmmsg(fd: number, headers: number, count: number, flags: number, timeout: number): number
  sendmmsg(fd: number, headers: number, count: number, flags: number): number
  errno(): number
  /** Of the first byte; good as long as the buffer is reachable. */
  addressOf(memory: NodeJS.ArrayBufferView): number
}

const AF_INET = 2
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_REUSEPORT = 15
const ADDRESS_BYTES = 16
/** Node takes no descriptor 0, and those of the standard streams are not for sockets. */
const FIRST_USABLE_FD = 3

/** The part of koffi that is used; it need not be installed, so its own types can't be counted on. */
interface Koffi {
  load(library: string): { func(definition: string): (...parameters: unknown[]) => number }
  address(memory: NodeJS.ArrayBufferView): bigint
  errno(): number
}

let loaded: Promise<UdpCalls | undefined> | undefined

/** The calls where they are known to work; undefined on other systems and where koffi is missing or refuses. */
export function loadUdpCalls(): Promise<UdpCalls | undefined> {
  loaded ??= load()
  return loaded
}

/** Constants and layouts are the same on these two; elsewhere they may differ. */
const isKnownSystem =
  process.platform === 'linux' && endianness() === 'LE' && (process.arch === 'x64' || process.arch === 'arm64')

async function load(): Promise<UdpCalls | undefined> {
  if (!isKnownSystem) return undefined
  try {
    const name: string = 'koffi'
    const { default: koffi } = (await import(name)) as { default: Koffi }
    return bindCalls(koffi)
  } catch {
    // Not installed, not for this system, or another C library than glibc.
    return undefined
  }
}

function bindCalls(koffi: Koffi): UdpCalls {
  const libc = koffi.load('libc.so.6')
  const socket = libc.func('int socket(int, int, int)')
  const bind = libc.func('int bind(int, void *, uint32_t)')
  const setsockopt = libc.func('int setsockopt(int, int, int, void *, uint32_t)')
  const close = libc.func('int close(int)')
  const recvmmsg = libc.func('int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)')
  const sendmmsg = libc.func('int sendmmsg(int, uintptr_t, unsigned int, int)')

  return {
    openBound: (packedIp, port, reusePort) => {
      const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
      if (fd < 0) return undefined
      const address = Buffer.alloc(ADDRESS_BYTES)
      address.writeUInt16LE(AF_INET, 0)
      address.writeUInt16BE(port, 2)
      address.writeInt32BE(packedIp, 4)
      // Nothing is received or sent by calls for no datagrams; a sandbox that forbids the calls says so. They name
      // memory all the same, which emulators look at.
      const somewhere = Number(koffi.address(address))
      const isUsable =
        fd >= FIRST_USABLE_FD &&
        (!reusePort || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, Buffer.of(1, 0, 0, 0), 4) === 0) &&
        bind(fd, address, ADDRESS_BYTES) === 0 &&
        recvmmsg(fd, somewhere, 0, 0, 0) === 0 &&
        sendmmsg(fd, somewhere, 0, 0) === 0
      if (isUsable) return fd
      close(fd)
      return undefined
    },
    refuseReuse: (fd) => {
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, Buffer.alloc(4), 4)
    },
    close: (fd) => {
      close(fd)
    },
    recvmmsg,
    sendmmsg,
    errno: () => koffi.errno(),
    addressOf: (memory) => Number(koffi.address(memory)),
  }
}
