import { accessSettings } from './access-settings.ts'
import { apiPublicUrl } from './api-settings.ts'
import { clusterSettings } from './cluster-settings.ts'
import { type ConfigOf, setting } from './setting.ts'
import { keySetting, sharedSettings } from './shared-settings.ts'
import {
  ipAddress,
  ipv4Network,
  type NetworkRule,
  networkRules,
  oneOf,
  secondsAsMs,
  selfTestTarget,
  serverAddress,
  serverList,
  sqlitePath,
  trimmedText,
  webAddressOrNone,
  wholeNumber,
} from './value-schemas.ts'

/** Everything the ID server can be told; one entry is all that a new setting needs. */
export const hbbsSettings = {
  port: setting({
    variable: 'PORT',
    flag: { short: 'p', value: 'number' },
    // PORT - 2 is the API's, PORT - 1 and PORT + 2 are listened on.
    schema: wholeNumber({ min: 3, max: 65_533 }),
    fallback: 21_116,
    meaning:
      'Main port, UDP and TCP. PORT - 1 (NAT test) and PORT + 2 (WebSocket) are listened on too; the relay expects PORT + 1.',
    reason: 'Clients assume 21116 where their setting names no port, and derive the other ports from it.',
  }),
  key: setting({
    ...keySetting,
    fallback: '-',
    meaning:
      'What controllers have to present. `-` or `_`: the public key of the key files, which are made when missing. Empty: nothing. 64 bytes in base64: that secret key, without files. Anything else: exactly that text, and sessions are not signed.',
  }),
  relayServers: setting({
    variable: 'RELAY_SERVERS',
    flag: { short: 'r', value: 'list' },
    schema: serverList,
    fallback: Object.freeze([]) as readonly string[],
    fallbackText: 'announced relays, else `PUBLIC_HOST:PORT + 1`, else what clients assume',
    meaning: 'Relays that clients are told, in turn; one that does not answer is left out while another does.',
  }),
  relayRules: setting({
    variable: 'RELAY_RULES',
    schema: networkRules,
    fallback: Object.freeze([]) as readonly NetworkRule[],
    fallbackText: 'none',
    topic: 'Several nodes',
    meaning:
      'Relays by the address of the client that is told: the first network that it is in decides. For sites where a relay has another address inside than outside. RELAY_SERVERS, where given, comes first.',
  }),
  rmemBytes: setting({
    variable: 'RMEM',
    flag: { short: 'M', value: 'bytes' },
    schema: wholeNumber({ min: 0, max: 2_147_483_647 }),
    fallback: 0,
    meaning:
      'UDP receive buffer in bytes; 0: 4 MiB. More than the system allows (net.core.rmem_max) is cut down to that.',
  }),
  serial: setting({
    variable: 'SERIAL',
    flag: { short: 's', value: 'number' },
    schema: wholeNumber({ min: 0, max: 2_147_483_647 }),
    fallback: 0,
    topic: 'Deprecated and unused',
    meaning: 'Version of the server list; clients with a smaller one are sent RENDEZVOUS_SERVERS.',
  }),
  rendezvousServers: setting({
    variable: 'RENDEZVOUS_SERVERS',
    flag: { short: 'R', value: 'list' },
    schema: serverList,
    fallback: Object.freeze([]) as readonly string[],
    fallbackText: 'empty',
    topic: 'Deprecated and unused',
    meaning: 'Server list that is sent to clients.',
  }),
  softwareUrl: setting({
    variable: 'SOFTWARE_URL',
    flag: { short: 'u', value: 'url' },
    schema: trimmedText('a URL'),
    fallback: '',
    fallbackText: 'empty',
    topic: 'Deprecated and unused',
    meaning: 'Where old clients download a newer one.',
  }),
  mask: setting({
    variable: 'MASK',
    flag: { value: 'cidr' },
    schema: ipv4Network,
    fallback: undefined,
    fallbackText: 'none',
    meaning:
      'IPv4 network of the clients that stand behind the same NAT as this server. A client inside and one outside are ' +
      'sent to the relay at once, and those inside to the relay at LOCAL_IP.',
  }),
  localIp: setting({
    variable: 'LOCAL_IP',
    schema: ipAddress,
    fallback: undefined,
    fallbackText: 'first local address found',
    meaning: 'Address of this server inside MASK; used only together with it.',
  }),
  alwaysUseRelay: setting({
    variable: 'ALWAYS_USE_RELAY',
    schema: sharedSettings.console.schema,
    fallback: false,
    fallbackText: 'N',
    meaning: 'Y: every session goes through a relay, no hole is punched.',
  }),
  testHbbs: setting({
    variable: 'TEST_HBBS',
    schema: selfTestTarget,
    fallback: undefined,
    fallbackText: 'none',
    warning: () =>
      'accepted and not used: there is no self-test over UDP; /livez and /readyz (METRICS_BIND) are its successors',
    topic: 'Deprecated and unused',
    meaning:
      'Accepted and not used. The reference tests itself over UDP and exits on failure; here /livez and /readyz tell.',
  }),
  dbPath: setting({
    variable: 'DB_URL',
    schema: sqlitePath,
    fallback: './db_v2.sqlite3',
    meaning: 'SQLite file of the devices; `sqlite://path` is understood.',
  }),
  maxDatabaseConnections: setting({
    variable: 'MAX_DATABASE_CONNECTIONS',
    schema: wholeNumber({ min: 1, max: 1_000_000 }),
    fallback: 1,
    warning: () => 'accepted and not used: one connection writes in batches, which is faster than several',
    topic: 'Deprecated and unused',
    meaning: 'Accepted and not used: one connection writes in batches.',
  }),
  sqliteSync: setting({
    variable: 'SQLITE_SYNC',
    schema: oneOf(['normal', 'full']),
    fallback: 'normal',
    meaning:
      'normal: the death of the process loses nothing, a power failure may lose the last registrations. full: neither does; every batch of writes waits for the disk.',
    reason: 'About 13 µs instead of 165 µs for a single registration.',
  }),
  accessMode: accessSettings.accessMode,
  allowControl: setting({
    variable: 'ALLOW_CONTROL',
    schema: oneOf(['anyone', 'registered', 'signed-in']),
    fallback: 'anyone',
    topic: 'Access',
    meaning:
      'Who may ask for devices, besides having the key. anyone: everybody. registered: clients whose address (IPv6: /64) is that of a device which is online here. signed-in: clients with an account; there are none yet, so nobody.',
    reason:
      'A request says nothing of the device that it comes from: `registered` lets a whole network in as soon as one device in it is online.',
  }),
  adminSocket: accessSettings.adminSocket,
  idChanges: setting({
    variable: 'CHANGE_ID',
    schema: sharedSettings.console.schema,
    fallback: true,
    fallbackText: 'Y',
    topic: 'Access',
    meaning: 'Y: users may give their devices other IDs. N: clients say that the server does not support it.',
  }),
  oldIdHoldMs: setting({
    variable: 'OLD_ID_HOLD',
    schema: secondsAsMs({ min: 60, max: 31_536_000 }),
    fallback: 86_400_000,
    fallbackText: '86400',
    topic: 'Access',
    meaning: 'How long (s) nobody else gets an ID that a device has given up; the device may have it back.',
    reason: 'Whoever has the old ID in an address book finds nobody there, instead of somebody else.',
  }),
  healClones: setting({
    variable: 'HEAL_CLONES',
    schema: sharedSettings.console.schema,
    fallback: false,
    fallbackText: 'N',
    topic: 'Access',
    meaning:
      'Y: of two machines that were set up from one image and share an ID, the one that came later is made to draw an ID of its own. N: they are reported only.',
    reason:
      'A device that loses its ID is not found under it any more; and somebody who has copied the uuid and the key of a device can bring that about, by registering first while the device is off.',
  }),
  apiUrl: setting({
    variable: 'API_URL',
    schema: webAddressOrNone,
    fallback: undefined,
    fallbackText: '`http://127.0.0.1:PORT - 2`',
    topic: 'API',
    meaning:
      'Where the ID server finds the API, for clients that get no further than the ID server. `none`: nowhere. With `npm start`: the API of somebody else, or none; it then starts no own one.',
  }),
  apiPublicUrl,
  ...clusterSettings,
  probe: setting({
    variable: 'PROBE',
    schema: sharedSettings.console.schema,
    fallback: false,
    fallbackText: 'N',
    topic: 'Logs, metrics and stopping',
    meaning:
      'Y: once a minute two clients of this server itself register, connect directly and through a relay, and exchange data, over each transport. What they find is in the metrics and in /readyz, which stays what it is otherwise.',
  }),
  probeHost: setting({
    variable: 'PROBE_HOST',
    schema: ipAddress,
    fallback: undefined,
    fallbackText: '`BIND`, else 127.0.0.1',
    topic: 'Logs, metrics and stopping',
    meaning: 'IP address at which PROBE finds this ID server.',
  }),
  probeRelay: setting({
    variable: 'PROBE_RELAY',
    schema: serverAddress,
    fallback: undefined,
    fallbackText: 'the one that clients are told',
    topic: 'Logs, metrics and stopping',
    meaning: 'Relay that PROBE uses, `host` or `host:port`; for machines that do not reach their own public address.',
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
    variable: 'CONNECTIONS_TOTAL',
    schema: wholeNumber({ min: 1, max: 10_000_000 }),
    fallback: 50_000,
    topic: 'Limits',
    meaning:
      'TCP and WebSocket connections at once. Beyond it the oldest that has sent nothing valid gives way; where there is none, the newcomer is refused.',
    reason:
      'Devices on UDP need none. Those on TCP or WebSocket hold one each, nine tenths of all at most, which takes nothing of CONNECTIONS_PER_SOURCE. The descriptor limit of the process must be higher for all to be used.',
  }),
  keepAliveMs: setting({
    variable: 'KEEP_ALIVE_SECONDS',
    schema: secondsAsMs({ min: 4, max: 600 }),
    fallback: 20_000,
    fallbackText: '20',
    topic: 'Limits',
    meaning:
      'How often clients that keep a connection open hear from the server at least: devices that register over TCP or WebSocket. One that has not answered for 1.5 times as long is offline.',
    reason:
      'A device that lost its power is offline within 30 s, as over UDP. Proxies in front must wait longer for data than this.',
  }),
  firstMessageTimeoutMs: sharedSettings.firstMessageTimeoutMs,
  firstMessageMaxBytes: setting({
    variable: 'FIRST_MESSAGE_MAX_BYTES',
    schema: wholeNumber({ min: 1_024, max: 16_777_216 }),
    fallback: 65_536,
    topic: 'Limits',
    meaning:
      'Largest message of a connection that has not proved to be a client; refused before anything is allocated.',
    reason: 'An online query for thousands of devices fits.',
  }),
  maxDevices: setting({
    variable: 'MAX_DEVICES',
    schema: wholeNumber({ min: 1, max: 50_000_000 }),
    fallback: 1_000_000,
    topic: 'Limits',
    meaning: 'Devices kept in memory at once; beyond it a device that is not known yet is refused.',
    reason: 'About 400 MB of memory when all are used.',
  }),
  idMaxBytes: accessSettings.idMaxBytes,
  uuidMaxBytes: accessSettings.uuidMaxBytes,
  lookupsPerMinute: setting({
    variable: 'LOOKUPS_PER_MINUTE',
    schema: wholeNumber({ min: 1, max: 10_000_000 }),
    fallback: 2_000,
    topic: 'Limits',
    meaning: 'Registrations from one address (IPv6: /64) that are looked up in a minute, known devices included.',
    reason:
      '300 known devices behind one address are all back within 20 s of a restart, and a stranger cannot keep the database busy.',
  }),
  newIdsPerMinute: setting({
    variable: 'NEW_IDS_PER_MINUTE',
    schema: wholeNumber({ min: 1, max: 1_000_000 }),
    fallback: 31,
    topic: 'Limits',
    meaning: 'New ids from one address (IPv6: /64), after its first, with less than a minute between one and the next.',
    reason: "The reference's limit. Raise it while a fleet behind one address is rolled out.",
  }),
  newIdsPerDay: setting({
    variable: 'NEW_IDS_PER_DAY',
    schema: wholeNumber({ min: 1, max: 10_000_000 }),
    fallback: 300,
    topic: 'Limits',
    meaning: 'Different new ids from one address in a day.',
    reason: "The reference's limit. Raise it while a fleet behind one address is rolled out.",
  }),
}

export type HbbsConfig = ConfigOf<typeof hbbsSettings>
