import ipaddr from 'ipaddr.js'
import { z } from 'zod'

/** What is wrong with a value, and what would be right. */
class Unfit {
  constructor(readonly message: string) {}
}

const unfit = (message: string): Unfit => new Unfit(message)

/** A schema from a function that reads a text or says why it can't. */
function read<Value>(reader: (text: string) => Value | Unfit): z.ZodType<Value, string> {
  return z.string().transform((text, context): Value => {
    const value = reader(text.trim())
    if (!(value instanceof Unfit)) return value
    context.addIssue({ code: 'custom', message: value.message })
    return z.NEVER
  })
}

export interface Range {
  readonly min: number
  readonly max: number
}

export const text = z.string()

/** A text that stands for itself; surrounding blanks are no part of it. */
export const trimmedText = read((value) => value)

export const wholeNumber = ({ min, max }: Range) =>
  read((value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
    return number >= min && number <= max ? number : unfit(`use a whole number from ${min} to ${max}`)
  })

/** Seconds as operators write them, milliseconds inside. */
export const secondsAsMs = ({ min, max }: Range) =>
  read((value) => {
    const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN
    return seconds >= min && seconds <= max ? Math.round(seconds * 1000) : unfit(`use seconds from ${min} to ${max}`)
  })

/** A number that may have a fraction; above zero, so nothing that divides by it fails. */
export const positiveNumber = ({ min, max }: Range) =>
  read((value) => {
    const number = /^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : Number.NaN
    return number >= min && number <= max ? number : unfit(`use a number from ${min} to ${max}, such as 0.5`)
  })

export const yesOrNo = read((value) => {
  const letter = value.toUpperCase()
  return letter === 'Y' || letter === 'N' ? letter === 'Y' : unfit('use Y or N')
})

export function oneOf<const Word extends string>(words: readonly Word[]): z.ZodType<Word, string> {
  return read((value) => words.find((word) => word === value.toLowerCase()) ?? unfit(`use one of ${words.join(', ')}`))
}

export const ipAddress = read((value) =>
  ipaddr.isValid(value) && !isShortIpv4(value)
    ? value
    : unfit('use an IP address, for example 192.0.2.7 or 2001:db8::7'),
)

/** `10`, `0x7f000001` and `10.1` are addresses to some programs, and surprises to everybody. */
const isShortIpv4 = (value: string) => !value.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(value)

export const ipv4Network = read((value) => {
  const network = value.includes('/') ? value : `${value}/32`
  return ipaddr.IPv4.isValidCIDR(network) ? network : unfit('use an IPv4 network, for example 192.168.0.0/16')
})

/** Networks and single addresses, with commas between them; `none` is nobody. */
export const networkList = read((value): readonly string[] | Unfit => {
  if (value.toLowerCase() === 'none') return Object.freeze([])
  const networks: string[] = []
  for (const entry of listEntries(value)) {
    const network = entry.includes('/') ? entry : `${entry}/${entry.includes(':') ? 128 : 32}`
    if (!ipaddr.isValidCIDR(network)) {
      return unfit(`'${entry}' is no network: use addresses and CIDRs with commas between them, such as 10.0.0.0/8,::1`)
    }
    networks.push(network)
  }
  return Object.freeze(networks)
})

/** `host` or `host:port`, with commas between them. */
export const serverList = read((value): readonly string[] | Unfit => {
  const servers = listEntries(value)
  for (const server of servers) {
    if (splitHostPort(server) === undefined) {
      return unfit(
        `'${server}' is no server: use host or host:port with commas between them, without http:// or a path`,
      )
    }
  }
  return Object.freeze(servers)
})

/** A host name or an address, without a port; IPv6 without its brackets. */
export const hostName = read((value) => {
  const parts = splitHostPort(value)
  return parts !== undefined && parts.port === undefined
    ? parts.host
    : unfit('use a host name or an IP address alone, without a port, http:// or a path')
})

export interface BindAddress {
  readonly host: string
  readonly port: number
  /** Whether somebody else on that port is a reason not to start. */
  readonly whenTaken: 'fail' | 'warn'
}

/** `127.0.0.1:9100`, `[::1]:9100`, `:9100` (every interface); with `?` at the end it may be taken. */
export const bindAddress = read((given): BindAddress | Unfit => {
  const value = given.replace(/\?$/, '')
  const message = 'use address:port, for example 127.0.0.1:9100 or :9100 for all interfaces'
  const parts = splitHostPort(value.startsWith(':') && !value.startsWith('::') ? `[::]${value}` : value)
  if (parts?.port === undefined) return unfit(message)
  if (!ipaddr.isValid(parts.host) && parts.host !== 'localhost') return unfit(message)
  return Object.freeze({ host: parts.host, port: parts.port, whenTaken: given === value ? 'fail' : 'warn' })
})

/** `IP:port`, or `no`. */
export const selfTestTarget = read((value) => {
  if (value.toLowerCase() === 'no') return 'no'
  const parts = splitHostPort(value)
  return parts?.port !== undefined && ipaddr.isValid(parts.host) ? value : unfit('use no, or IP:port')
})

/** A file path, also in the forms that sqlx takes: `sqlite:path`, `sqlite://path`, with `?options` behind it. */
export const sqlitePath = read((value) => {
  const scheme = /^([a-z][a-z0-9+]+):(\/\/)?/i.exec(value)
  // A drive letter is one letter and a colon.
  if (scheme && scheme[1]?.toLowerCase() !== 'sqlite') {
    return unfit('use the path of an SQLite file, or sqlite://path; other databases are not known')
  }
  const path = scheme ? value.slice(scheme[0].length).replace(/\?.*$/, '') : value
  return path === '' ? unfit('use the path of an SQLite file, for example ./db_v2.sqlite3') : path
})

function listEntries(value: string): string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

/** Undefined when the text is neither a name nor an address. */
function splitHostPort(value: string): { readonly host: string; readonly port: number | undefined } | undefined {
  if (ipaddr.IPv6.isValid(value)) return { host: value, port: undefined }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(value)
  if (!match) return undefined
  const [, bracketed, bare, digits] = match
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined
  if (bracketed !== undefined) return ipaddr.IPv6.isValid(bracketed) ? { host: bracketed, port } : undefined
  return bare !== undefined && isHostName(bare) ? { host: bare, port } : undefined
}

const isHostName = (value: string) =>
  value.length <= 253 &&
  /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/.test(value)
