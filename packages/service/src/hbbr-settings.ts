import { clusterSettings, redisPlace } from './cluster-settings.ts'
import type { ConfigProblem } from './config-error.ts'
import { type ConfigOf, setting } from './setting.ts'
import { keySetting, sharedSettings } from './shared-settings.ts'
import { decimalNumber, oneOf, serverAddress, text, trimmedText, wholeNumber, yesOrNo } from './value-schemas.ts'

const DEFAULT_PORT = 21_117
/** PORT + 2 is listened on too. */
const MAX_PORT = 65_533

const isPositiveWholeNumber = (value: string) => /^0*[1-9]\d*$/.test(value.trim())

/** Limits are in 1024 x 1024 bits per second, as the reference counts them; fractions are fine. */
const bandwidth = decimalNumber({ min: 0.001, max: 1_000_000 })

/** Everything the relay can be told; one entry is all that a new setting needs. */
export const hbbrSettings = {
  port: setting({
    variable: 'PORT',
    flag: { short: 'p', value: 'number' },
    schema: wholeNumber({ min: 1, max: MAX_PORT }),
    // The variable names the ID server's port, so that one .env serves both programs.
    variableSchema: text.transform((value, context) => {
      if (!isPositiveWholeNumber(value)) return DEFAULT_PORT
      const port = Number(value) + 1
      if (port <= MAX_PORT) return port
      context.addIssue({ code: 'custom', message: `use a whole number from 1 to ${MAX_PORT - 1}` })
      return DEFAULT_PORT
    }),
    fallback: DEFAULT_PORT,
    warning: (value) =>
      isPositiveWholeNumber(value) ? undefined : `is no port number and is ignored; the relay uses ${DEFAULT_PORT}`,
    meaning:
      "Relay port. The flag is the port itself; the variable is the ID server's, and the relay takes PORT + 1. The port + 2 (WebSocket) is listened on too.",
    reason: 'Clients assume 21117 where a relay is named without a port.',
  }),
  key: setting({
    ...keySetting,
    fallback: '',
    fallbackText: 'empty: anybody may use the relay; `npm start`: `_`',
    meaning:
      'What both sides of a session have to present. Empty: nothing. `-` or `_`: the public key of the key files. 64 bytes in base64: the public half of that secret key. Anything else: exactly that text. Use what the ID server uses.',
    reason: "The reference's default.",
  }),
  singleMegabits: setting({
    variable: 'SINGLE_BANDWIDTH',
    schema: bandwidth,
    fallback: 128,
    topic: 'Bandwidth',
    meaning: 'Limit of one session in each direction, in 1024 x 1024 bits per second.',
  }),
  totalMegabits: setting({
    variable: 'TOTAL_BANDWIDTH',
    schema: bandwidth,
    fallback: 1024,
    topic: 'Bandwidth',
    meaning: 'Limit of all sessions together in each direction, in 1024 x 1024 bits per second.',
  }),
  limitedMegabits: setting({
    variable: 'LIMIT_SPEED',
    schema: bandwidth,
    fallback: 32,
    topic: 'Bandwidth',
    meaning: 'Limit of a session that is blacklisted or was downgraded, in 1024 x 1024 bits per second.',
  }),
  downgradeThreshold: setting({
    variable: 'DOWNGRADE_THRESHOLD',
    schema: decimalNumber({ min: 0.01, max: 1_000 }),
    fallback: 0.66,
    topic: 'Bandwidth',
    meaning:
      'A session whose average is above this fraction of SINGLE_BANDWIDTH is downgraded to LIMIT_SPEED; whole hundredths count.',
  }),
  downgradeStartSeconds: setting({
    variable: 'DOWNGRADE_START_CHECK',
    schema: wholeNumber({ min: 1, max: 2_147_483_647 }),
    fallback: 1_800,
    topic: 'Bandwidth',
    meaning: 'Age in seconds before which a session is never downgraded.',
  }),
  ...clusterSettings,
  relayPublicAddress: setting({
    variable: 'RELAY_PUBLIC_ADDRESS',
    schema: serverAddress,
    fallback: undefined,
    fallbackText: '`PUBLIC_HOST:port`',
    topic: 'Several nodes',
    meaning: 'Where clients reach this relay, `host:port`; announced to all ID servers through Redis.',
  }),
  relayRegion: setting({
    variable: 'RELAY_REGION',
    schema: trimmedText('a name'),
    fallback: '',
    fallbackText: 'empty',
    topic: 'Several nodes',
    meaning: 'Where this relay stands, for lists and metrics.',
  }),
  relayCapacityMegabits: setting({
    variable: 'RELAY_CAPACITY',
    schema: wholeNumber({ min: 1, max: 10_000_000 }),
    fallback: undefined,
    fallbackText: 'TOTAL_BANDWIDTH, at most 3000',
    topic: 'Several nodes',
    meaning:
      'What this relay can carry, in 1024 x 1024 bits per second. New sessions prefer the relay with more of it free.',
    reason: 'What one core was measured to carry in small messages, with a fifth in reserve.',
  }),
  requireTicket: setting({
    variable: 'RELAY_REQUIRE_TICKET',
    schema: yesOrNo,
    fallback: undefined,
    fallbackText: 'Y with Redis, else N',
    topic: 'Several nodes',
    meaning: 'Y: only sessions that an ID server of this Redis has introduced are relayed.',
    reason: 'Whoever knows the key cannot use the relay for anything else.',
  }),
  ticketFail: setting({
    variable: 'RELAY_TICKET_FAIL',
    schema: oneOf(['open', 'closed']),
    fallback: undefined,
    fallbackText: 'open where KEY is set, else closed',
    topic: 'Several nodes',
    meaning: 'What a new session gets while neither Redis nor an ID server can be asked: open lets it in.',
  }),
  publicHost: sharedSettings.publicHost,
  bind: sharedSettings.bind,
  console: sharedSettings.console,
  trustedProxies: sharedSettings.trustedProxies,
  proxyProtocol: sharedSettings.proxyProtocol,
  metricsBind: sharedSettings.metricsBind,
  logLevel: sharedSettings.logLevel,
  logFormat: sharedSettings.logFormat,
  traceKeepMs: sharedSettings.traceKeep,
  drainSeconds: sharedSettings.drainSeconds,
  connectionsPerSource: sharedSettings.connectionsPerSource,
  connectionsTotal: setting({
    variable: 'RELAY_CONNECTIONS_TOTAL',
    schema: wholeNumber({ min: 2, max: 10_000_000 }),
    fallback: 20_000,
    topic: 'Limits',
    meaning:
      'TCP and WebSocket connections at once, two a session. Beyond it the oldest that has sent nothing valid gives way; where there is none, the newcomer is refused.',
    reason: '10,000 sessions. The descriptor limit of the process must be higher for all to be used.',
  }),
  firstMessageTimeoutMs: sharedSettings.firstMessageTimeoutMs,
  firstMessageMaxBytes: setting({
    variable: 'RELAY_FIRST_MESSAGE_MAX_BYTES',
    schema: wholeNumber({ min: 512, max: 1_048_576 }),
    fallback: 4_096,
    topic: 'Limits',
    meaning: 'Largest first message of a connection; refused before anything is allocated.',
    reason: 'A request for a relay takes some 150 bytes.',
  }),
  waitingPerSource: setting({
    variable: 'WAITING_PER_SOURCE',
    schema: wholeNumber({ min: 1, max: 1_000_000 }),
    fallback: 500,
    topic: 'Limits',
    meaning: 'Connections from one address (IPv6: /64) that wait for their partner at once.',
    reason: 'Partners come within a round trip of one another, so 500 at once are a large company after a restart.',
  }),
  waitingTotal: setting({
    variable: 'WAITING_TOTAL',
    schema: wholeNumber({ min: 1, max: 10_000_000 }),
    fallback: 5_000,
    topic: 'Limits',
    meaning: 'Connections that wait for their partner at once; beyond it the newcomer is refused.',
    reason: 'A quarter of the connections: the rest stays free for sessions.',
  }),
  unticketedPerSource: setting({
    variable: 'UNTICKETED_PER_SOURCE',
    schema: wholeNumber({ min: 1, max: 1_000_000 }),
    fallback: 64,
    topic: 'Limits',
    meaning:
      'Connections from one address (IPv6: /64) whose ticket has not come yet, or is being looked up, at once. Beyond it the one that has been without a ticket for longest gives way.',
    reason: 'A ticket is there within a round trip of the connection, so few are without one at any moment.',
  }),
  unticketedTotal: setting({
    variable: 'UNTICKETED_TOTAL',
    schema: wholeNumber({ min: 1, max: 10_000_000 }),
    fallback: 512,
    topic: 'Limits',
    meaning: 'The same for all addresses together.',
    reason: 'Each asks for its ticket once a second, and 64 KiB of what it sends are kept.',
  }),
}

export type HbbrConfig = ConfigOf<typeof hbbrSettings>

/** What is wrong with settings that are right one by one, where no parent process hands tickets over. */
export function hbbrProblems(config: HbbrConfig): ConfigProblem[] {
  if (config.requireTicket !== true || redisPlace(config) !== undefined) return []
  const remedy = 'tickets come from the ID servers through Redis: set REDIS_URL, or leave RELAY_REQUIRE_TICKET out'
  return [{ setting: 'RELAY_REQUIRE_TICKET=Y', source: 'settings together', remedy }]
}
