import ipaddr from 'ipaddr.js'
import { z } from 'zod'

/** A value cannot be taken; the detail says more than the form that it should have. */
class Unfit {
  constructor(readonly detail: string | undefined) {}
}

const unfit = (detail?: string): Unfit => new Unfit(detail)

/**
 * A schema from a function that reads a text or says that it can't.
 *
 * @param form what is accepted, in words: for the documents, and for the remedy of what is not
 */
function read<Value>(form: string, reader: (text: string) => Value | Unfit): z.ZodType<Value, string> {
  return z
    .string()
    .transform((text, context): Value => {
      const value = reader(text.trim())
      if (!(value instanceof Unfit)) return value
      const message = value.detail === undefined ? `use ${form}` : `${value.detail}; use ${form}`
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    })
    .describe(form)
}

export interface Range {
  readonly min: number
  readonly max: number
}

export const text = z.string()

/** A text that stands for itself; surrounding blanks are no part of it. */
export const trimmedText = (form: string) => read(form, (value) => value)

export const wholeNumber = ({ min, max }: Range) =>
  read(`a whole number from ${min} to ${max}`, (value) =>
    inRange(/^\d+$/.test(value) ? Number(value) : undefined, min, max),
  )

/** Seconds as operators write them, milliseconds inside. */
export const secondsAsMs = ({ min, max }: Range) =>
  read(`seconds from ${min} to ${max}`, (value) => {
    const seconds = inRange(/^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined, min, max)
    return seconds instanceof Unfit ? seconds : Math.round(seconds * 1000)
  })

/** A number that may have a fraction. */
export const decimalNumber = ({ min, max }: Range) =>
  read(`a number from ${min} to ${max}, such as 0.5`, (value) =>
    inRange(/^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : undefined, min, max),
  )

const inRange = (value: number | undefined, min: number, max: number) =>
  value !== undefined && value >= min && value <= max ? value : unfit()

export const yesOrNo = read('Y or N', (value) => {
  const letter = value.toUpperCase()
  return letter === 'Y' || letter === 'N' ? letter === 'Y' : unfit()
})

export function oneOf<const Word extends string>(words: readonly Word[]): z.ZodType<Word, string> {
  return read(`one of ${words.join(', ')}`, (value) => words.find((word) => word === value.toLowerCase()) ?? unfit())
}

export const ipAddress = read('an IP address, for example 192.0.2.7 or 2001:db8::7', (value) =>
  ipaddr.isValid(value) && !isShortIpv4(value) ? value : unfit(),
)

/** `10`, `0x7f000001` and `10.1` are addresses to some programs, and surprises to everybody. */
const isShortIpv4 = (value: string) => !value.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(value)

export const ipv4Network = read('an IPv4 network, for example 192.168.0.0/16', (value) => {
  const network = value.includes('/') ? value : `${value}/32`
  return ipaddr.IPv4.isValidCIDR(network) ? network : unfit()
})

/** `none` is nobody. */
export const networkList = read(
  'addresses and networks with commas between them, such as 10.0.0.0/8,::1, or none',
  (value): readonly string[] | Unfit => {
    if (value.toLowerCase() === 'none') return Object.freeze([])
    const networks: string[] = []
    for (const entry of listEntries(value)) {
      const network = entry.includes('/') ? entry : `${entry}/${entry.includes(':') ? 128 : 32}`
      if (!ipaddr.isValidCIDR(network)) return unfit(`'${entry}' is no network`)
      networks.push(network)
    }
    return Object.freeze(networks)
  },
)

export const serverList = read(
  'host or host:port with commas between them, without http:// or a path',
  (value): readonly string[] | Unfit => {
    const servers = listEntries(value)
    const wrong = servers.find((server) => splitHostPort(server) === undefined)
    return wrong === undefined ? Object.freeze(servers) : unfit(`'${wrong}' is no server`)
  },
)

/** IPv6 comes without its brackets. */
export const hostName = read('a host name or an IP address alone, without a port, http:// or a path', (value) => {
  const parts = splitHostPort(value)
  return parts !== undefined && parts.port === undefined ? parts.host : unfit()
})

export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** @param defaultPort for entries without one */
export const hostPortList = (defaultPort: number) =>
  read('host:port with commas between them', (value): readonly HostAndPort[] | Unfit => {
    const entries = listEntries(value)
    if (entries.length === 0) return unfit()
    const parsed: HostAndPort[] = []
    for (const entry of entries) {
      const parts = splitHostPort(entry)
      if (!parts) return unfit(`'${entry}' is no host`)
      parsed.push({ host: parts.host, port: parts.port ?? defaultPort })
    }
    return Object.freeze(parsed)
  })

/** IPv6 comes without its brackets. */
export const serverAddress = read('host or host:port', (value) => splitHostPort(value) ?? unfit())

/** `https://example.com`, with a port and a path if need be; comes without the `/` at its end. */
export const webAddress = read(
  'a URL that begins with http:// or https://, such as https://hbbs.example.com',
  (value) => {
    const url = URL.parse(value)
    if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') return unfit()
    if (url.username !== '' || url.password !== '') return unfit('the URL holds a password')
    if (url.search !== '' || url.hash !== '') return unfit('nothing may follow the path')
    return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
  },
)

/** `none` is nowhere. */
export const webAddressOrNone = read('a URL that begins with http:// or https://, or none', (value) => {
  if (value.toLowerCase() === 'none') return 'none'
  const address = webAddress.safeParse(value)
  return address.success ? address.data : unfit()
})

const REDIS_PROTOCOLS = ['redis:', 'rediss:']

export const redisUrl = read('redis://user:password@host:port/database, or rediss:// for TLS', (value) => {
  const url = URL.parse(value)
  if (!url || !REDIS_PROTOCOLS.includes(url.protocol) || url.hostname === '') return unfit()
  return /^\/?\d*$/.test(url.pathname) ? value : unfit('the part behind the host is the number of a database')
})

/** `10.0.0.0/8=192.168.1.5:21117`: clients in the network are told that relay. */
export interface NetworkRule {
  readonly cidr: string
  readonly relay: string
}

export const networkRules = read(
  'network=host:port with commas between them, such as 192.168.0.0/16=192.168.1.5:21117',
  (value): readonly NetworkRule[] | Unfit => {
    const rules: NetworkRule[] = []
    for (const entry of listEntries(value)) {
      const [network = '', relay = ''] = entry.split('=')
      const cidr = network.includes('/') ? network : `${network}/${network.includes(':') ? 128 : 32}`
      if (!ipaddr.isValidCIDR(cidr)) return unfit(`'${network}' is no network`)
      if (!splitHostPort(relay)) return unfit(`'${relay}' is no relay`)
      rules.push({ cidr, relay })
    }
    return Object.freeze(rules)
  },
)

export interface BindAddress {
  readonly host: string
  readonly port: number
  /** Whether somebody else on that port is a reason not to start. */
  readonly whenTaken: 'fail' | 'warn'
}

/** `127.0.0.1:9100`, `[::1]:9100`, `:9100` (every interface); with `?` at the end it may be taken. */
export const bindAddress = read(
  'address:port, for example 127.0.0.1:9100, or :9100 for all interfaces',
  (given): BindAddress | Unfit => {
    const value = given.replace(/\?$/, '')
    const parts = splitHostPort(value.startsWith(':') && !value.startsWith('::') ? `[::]${value}` : value)
    if (parts?.port === undefined) return unfit()
    if (!ipaddr.isValid(parts.host) && parts.host !== 'localhost') return unfit()
    return Object.freeze({ host: parts.host, port: parts.port, whenTaken: given === value ? 'fail' : 'warn' })
  },
)

export const selfTestTarget = read('no, or IP:port', (value) => {
  if (value.toLowerCase() === 'no') return 'no'
  const parts = splitHostPort(value)
  return parts?.port !== undefined && ipaddr.isValid(parts.host) ? value : unfit()
})

/** Also in the forms that sqlx takes: `sqlite:path`, `sqlite://path`, with `?options` behind it. */
export const sqlitePath = read('the path of an SQLite file, for example ./db_v2.sqlite3', (value) => {
  const scheme = /^([a-z][a-z0-9+]+):(\/\/)?/i.exec(value)
  // A drive letter is one letter and a colon.
  if (scheme && scheme[1]?.toLowerCase() !== 'sqlite') return unfit(`${scheme[1]} is no database that is known here`)
  const path = scheme ? value.slice(scheme[0].length).replace(/\?.*$/, '') : value
  return path === '' ? unfit() : path
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
