import { setting } from './setting.ts'
import {
  bindAddress,
  hostName,
  ipAddress,
  networkList,
  oneOf,
  secondsAsMs,
  text,
  wholeNumber,
  yesOrNo,
} from './value-schemas.ts'

export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export const LOG_FORMATS = ['json', 'pretty'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/** The level that a filter of the reference's logger sets for everything: `warn`, or `warn,hyper=info`. */
const rustLogLevel = text.transform((value): LogLevel | undefined => {
  const words = value
    .toLowerCase()
    .split(',')
    .map((word) => word.trim())
  const word = words.find((candidate) => candidate === 'off' || LOG_LEVELS.some((level) => level === candidate))
  return word === 'off' ? 'silent' : LOG_LEVELS.find((level) => level === word)
})

/** Old clients look for that name anywhere in the address. */
export const warnOfPublicName = (host: string): string | undefined =>
  /rustdesk\.com/i.test(host)
    ? 'clients up to 1.4.9 take an address with rustdesk.com in it for the public server and tell the API nothing; use another name'
    : undefined

/** What several programs understand, with the same meaning and default. */
export const sharedSettings = {
  bind: setting({
    variable: 'BIND',
    flag: { short: 'b', value: 'address' },
    schema: ipAddress,
    fallback: undefined,
    fallbackText: 'all interfaces',
    meaning: 'IP address to listen on.',
  }),
  publicHost: setting({
    variable: 'PUBLIC_HOST',
    schema: hostName,
    fallback: undefined,
    warning: warnOfPublicName,
    meaning:
      'Name or address that clients use to reach this server. Without a relay list they are told `PUBLIC_HOST:relay port` as their relay.',
  }),
  console: setting({
    variable: 'CONSOLE',
    schema: yesOrNo,
    fallback: false,
    fallbackText: 'N',
    meaning: 'Y: TCP connections from loopback get the text console instead of the protocol.',
    reason:
      'The reference always does so. Whoever shares the machine, a tunnel or a TCP proxy there could then command the server, and clients on the machine itself are not served.',
  }),
  trustedProxies: setting({
    variable: 'TRUSTED_PROXIES',
    schema: networkList,
    fallback: Object.freeze(['127.0.0.0/8', '::1/128']),
    fallbackText: '127.0.0.0/8,::1',
    meaning:
      'Addresses and networks of the reverse proxies whose X-Real-IP and X-Forwarded-For are believed on the WebSocket ports and by the API; replaces the default. `none`: nobody.',
    reason: 'A header from anybody else would let strangers choose the address that limits, lists and logs see.',
  }),
  proxyProtocol: setting({
    variable: 'PROXY_PROTOCOL',
    schema: yesOrNo,
    fallback: false,
    fallbackText: 'N',
    meaning:
      'Y: TCP connections from TRUSTED_PROXIES to the ports of PORT - 1, PORT and the relay begin with a PROXY protocol header, version 1 or 2, and count as those of the address in it; without it they are closed. Those from anywhere else are served as they are. The WebSocket ports go on with X-Real-IP and X-Forwarded-For.',
    reason:
      'A load balancer for TCP has no other way to say who a client is. It has to be told to send the header as well: without being asked, a client behind it could send one of its own.',
  }),
  metricsBind: setting({
    variable: 'METRICS_BIND',
    flag: { value: 'address:port' },
    schema: bindAddress,
    fallback: undefined,
    fallbackText: 'no listener; `npm start` uses 127.0.0.1:21120, 21121 and 21122',
    topic: 'Logs, metrics and stopping',
    meaning:
      'Where /metrics, /livez and /readyz are served over HTTP. A port that is taken is an error; with `?` at the end (`127.0.0.1:9100?`) a warning. Where several programs read one `.env`, give all but one the flag.',
    reason: 'Any number of nodes run on one machine without a choice of ports; nothing is published unasked.',
  }),
  logLevel: setting({
    variable: 'LOG_LEVEL',
    schema: oneOf(LOG_LEVELS),
    fallback: 'info',
    alias: { variable: 'RUST_LOG', schema: rustLogLevel },
    topic: 'Logs, metrics and stopping',
    meaning:
      'How much is logged. RUST_LOG, where LOG_LEVEL is not set, gives its general level; its other directives mean nothing here.',
  }),
  logFormat: setting({
    variable: 'LOG_FORMAT',
    schema: oneOf(LOG_FORMATS),
    fallback: undefined,
    fallbackText: 'pretty on a terminal, json elsewhere',
    topic: 'Logs, metrics and stopping',
    meaning: 'json (one object a line, for collectors) or pretty (for people).',
  }),
  traceKeep: setting({
    variable: 'TRACE_KEEP',
    schema: secondsAsMs({ min: 0, max: 31_536_000 }),
    fallback: 86_400_000,
    fallbackText: '86400',
    topic: 'Logs, metrics and stopping',
    meaning:
      'How long (s) `tryst trace` finds an attempt to connect, of the last 10,000 or so. 0: attempts are not recorded, and what clients show has no code in it.',
    reason: 'Ids, addresses and times of a day, some 10 MB at most.',
  }),
  drainSeconds: setting({
    variable: 'DRAIN_SECONDS',
    schema: wholeNumber({ min: 0, max: 86_400 }),
    fallback: 0,
    topic: 'Logs, metrics and stopping',
    meaning: 'How long relayed sessions may go on after SIGTERM, SIGINT or SIGQUIT. A second signal ends at once.',
    reason: 'The reference cuts them at once, and supervisors commonly kill after 10 s.',
  }),
  connectionsPerSource: setting({
    variable: 'CONNECTIONS_PER_SOURCE',
    schema: wholeNumber({ min: 1, max: 10_000_000 }),
    fallback: 2_000,
    topic: 'Limits',
    meaning: 'TCP, WebSocket and HTTP connections from one address at once; an IPv6 /64 counts as one.',
    reason: 'A company behind one address with 1,000 sessions at once passes; one machine cannot take all descriptors.',
  }),
  firstMessageTimeoutMs: setting({
    variable: 'FIRST_MESSAGE_SECONDS',
    schema: secondsAsMs({ min: 1, max: 600 }),
    fallback: 30_000,
    fallbackText: '30',
    topic: 'Limits',
    meaning: 'Seconds for a new connection, its WebSocket upgrade included, to send its first whole message.',
    reason: "The reference's wait; stock clients send at once and give up after 18 s.",
  }),
}

/** The key, whose default differs between the servers. */
export const keySetting = {
  variable: 'KEY',
  flag: { short: 'k', value: 'key' },
  schema: text,
  emptyIsValue: true,
  secret: true,
} as const
