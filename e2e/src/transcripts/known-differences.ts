import type { Difference } from './transcript.ts'

/** Something that our servers do otherwise than the reference, on purpose. */
export interface KnownDifference {
  readonly subject: string
  readonly reference: string
  readonly ours: string
  readonly reason: string
  /** Whether this is why a replay differed. */
  explains(difference: Difference): boolean
}

type Explains = KnownDifference['explains']

/** These steps of the transcript whose name begins so; with `found` only where that was found. */
function at(group: string, transcript: string, steps: readonly number[], found = /./): Explains {
  return (difference) =>
    difference.group === group &&
    difference.transcript.startsWith(transcript) &&
    steps.includes(difference.step) &&
    found.test(difference.found)
}

const anyOf =
  (...explanations: Explains[]): Explains =>
  (difference) =>
    explanations.some((explains) => explains(difference))

/** No difference is left when what was found is changed so. */
const butFor =
  (change: (found: string) => string): Explains =>
  ({ reference, found }) =>
    found !== reference && change(found) === reference

const withTruePorts = (text: string) => text.replace(/\(IP of (\S+), another port\)/g, '(address of $1)')
const withoutLanPort = (text: string) => text.replace('"10.0.0.1:21117"', '"10.0.0.1"')
const withoutWords = (text: string) => text.replace(/, other_failure: "Key mismatch[^"]*"/, '')
/** Of a refusal: the words that clients have for it themselves, with a code behind them. */
const withoutAttemptCode = (text: string) =>
  text
    .replace(', other_failure: "Remote desktop is offline (CODE)"', '')
    .replace('{ other_failure: "ID does not exist (CODE)" }', '{}')
const withSameCode = (text: string) => text.replace(/ \([0-9A-Z]{6}\)"/, ' (CODE)"')
const withMappedIp = (text: string) => text.replace('{"ip":"', '{"ip":"::ffff:')

/** Of a message that says how a peer can be reached. */
const withoutWays = (text: string) =>
  text.replace(/, (udp_port: \d+|upnp_port: \d+|(force_relay|is_udp): true|"socket_addr_v6": "[0-9a-f]*")/g, '')

/** Pushes to which a device does not answer by sending to the address in them. */
const UNUSED_PORT = /fetch_local_addr|request_relay|nat_type: "SYMMETRIC"/

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    subject: 'Devices are told a handle instead of the address of the controller',
    reference:
      'puts the address and port of the controller into PunchHole, FetchLocalAddr and RequestRelay, with the clock as `tm`',
    ours: 'puts the true IP address, a secret `tm`, and, where the device will not send to it, a random port there',
    reason:
      'Whoever guesses the address of a waiting controller could answer it. Devices give back what they were told, so only they can. Where a device punches (PunchHole that is not SYMMETRIC) the port is the true one.',
    explains: (difference) =>
      UNUSED_PORT.test(difference.found) && butFor((found) => withoutLanPort(withTruePorts(found)))(difference),
  },
  {
    subject: 'Peers hear of each other how they can be reached by UDP and IPv6',
    reference: 'drops `udp_port`, `upnp_port`, `force_relay` and `socket_addr_v6`',
    ours: 'hands them on in both directions, says `force_relay` itself where every session is to be relayed, and answers the NAT test over UDP where the address has a connection or a device here',
    reason: 'Clients from 1.4.1 on punch by UDP and over IPv6, where TCP alone does not come through.',
    explains: anyOf(
      butFor((found) => withoutLanPort(withTruePorts(withoutWays(found)))),
      // If a connection or device of the exchange before is still there.
      at('nat', 'NAT test over UDP', [2], /test_nat_response: \{ port: \d+ \}/),
    ),
  },
  {
    subject: 'A controller that wants a relay gets one',
    reference: 'looks at the NAT type only, and sends peers of one network to each other all the same',
    ours: 'has the device bring a relay when the request says `force_relay`, with SYMMETRIC for devices that do not know it',
    reason: 'It is what the user chose.',
    explains: anyOf(
      ({ reference, found }) =>
        / force_relay: true/.test(found) &&
        withTruePorts(withoutWays(found)).replace('"SYMMETRIC"', '"ASYMMETRIC"') === reference,
      at('punch', 'same network: relay wanted by A', [5], /punch_hole: \{.*nat_type: "SYMMETRIC", force_relay: true/),
    ),
  },
  {
    subject: 'Peers that cannot meet are brought to a relay at once',
    reference: 'has the device punch towards an address that it may not be able to reach',
    ours: 'says SYMMETRIC, upon which the device brings a relay, where one is seen at an IPv4 address and the other at an IPv6 address, or one at a private address and the other at a public one; and hands on IPv6 addresses that both may have',
    reason:
      'A hole leads nowhere in the other family, and a private address nowhere outside; the controller would wait for it up to 18 s.',
    explains: anyOf(
      at('register', 'registration, heartbeat from IPv6 loopback', [8], /nat_type: "SYMMETRIC"/),
      at('punch', 'IPv6 initiator, IPv4 device', [5, 8], /nat_type: "SYMMETRIC"/),
      at('console', 'console: after registrations', [26], /nat_type: "SYMMETRIC"/),
      at('ipv4-bind', 'IPv4 sockets: WebSocket with an IPv6 forwarding header', [5], /nat_type: "SYMMETRIC"/),
      at('punch', 'WebSocket: forwarding headers', [29], /nat_type: "SYMMETRIC"/),
    ),
  },
  {
    subject: 'Answers to a guessed address, or for another device, reach nobody',
    reference: 'passes an answer on to whoever waits at the address in it, and signs the key of any id that it names',
    ours: 'passes an answer on only with the handle that the device was told and the id that was asked for',
    reason: 'A stranger could send the controller elsewhere, with a key signed by the server.',
    explains: anyOf(
      at('punch', "B's answers", [19, 27, 99], /receives nothing/),
      at('punch', 'WebSocket: two initiators behind one forwarded address', [11], /receives nothing/),
    ),
  },
  {
    subject: 'Answers have to fit what the device was asked',
    reference: 'takes PunchHoleSent, LocalAddr and RelayResponse for each other',
    ours: 'takes LocalAddr for FetchLocalAddr only, and PunchHoleSent for PunchHole only; RelayResponse for all',
    reason: 'The secret is elsewhere for each of them. Stock devices answer as they were asked, or by a relay.',
    explains: anyOf(
      at('punch', "B's answers", [59, 67, 75], /receives nothing/),
      at('mask', 'LAN mask: PunchHoleSent is not touched', [8], /receives nothing/),
    ),
  },
  {
    subject: 'A key in RelayResponse is not passed on',
    reference: 'passes on a `pk` that a device sets itself instead of its id',
    ours: 'leaves it out',
    reason: 'Controllers take that field for the signature of the server.',
    explains: at('punch', "B's answers", [115], /relay_response: \{ uuid: "[^"]*", version: "1.4.9" \}/),
  },
  {
    subject: 'Controllers are answered as long as they are connected',
    reference: 'forgets a waiting controller with the first answer, and then answers nothing more on its connection',
    ours: 'answers every request on the connection, and passes on every answer of the device',
    reason: 'Clients use the first answer and ignore others; a lost one costs them seconds.',
    explains: anyOf(
      at('punch', 'punch request refused', [5, 7], /receives \{ punch_hole_response/),
      at('punch', 'TCP punch: different networks', [15, 23], /receives \{ punch_hole_response/),
      at('punch', 'relay requested by A', [17], /receives \{ relay_response/),
      at('punch', 'other requests on a connection that waits', [7], /receives \{ test_nat_response/),
    ),
  },
  {
    subject: 'A wrong key is refused in words',
    reference: 'answers LICENSE_MISMATCH; clients show "Key mismatch"',
    ours: 'says besides, in `other_failure`, how the right key ends and where to copy it',
    reason: 'Which of several keys is wrong is the most frequent question of new users.',
    explains: butFor(withoutWords),
  },
  {
    subject: 'Refusals say a code by which the operator finds the attempt',
    reference: 'answers ID_NOT_EXIST or OFFLINE; clients show words of their own for it',
    ours: 'says besides, in `other_failure`, those words with the code of the attempt; not with TRACE_KEEP=0',
    reason:
      'Whoever does not reach a device can tell the operator which attempt it was, and `tryst trace` tells what became of it. Clients do the same after these words as after the number; only a translation is lost.',
    explains: butFor((found) => withoutAttemptCode(withSameCode(found))),
  },
  {
    subject: 'RequestRelay is checked like PunchHoleRequest',
    reference: 'passes it on to a device whatever key it names, and answers nothing when the device is not there',
    ours: 'refuses at once, in `refuse_reason`, when the named key is wrong or the device is unknown or offline',
    reason: 'Anybody could make any device connect anywhere; and the controller waits 18 s three times.',
    explains: anyOf(
      at('punch', 'relay requested by A', [5], /receives nothing/),
      at('punch', 'relay requested by A', [9], /refuse_reason: "Key mismatch/),
      at('punch', 'relay requested by A for an unknown device', [2], /refuse_reason: "ID does not exist \(/),
      at('idle', 'a device is offline 30 s after its last registration', [23], /receives nothing/),
      at(
        'idle',
        'a device is offline 30 s after its last registration',
        [31],
        /refuse_reason: "Remote desktop is offline \(/,
      ),
      at('restart', 'after a restart: relay request', [3, 11], /refuse_reason: "Remote desktop is offline \(/),
    ),
  },
  {
    subject: 'What a known device registers again counts against no limit',
    reference: 'counts every RegisterPk that it accepts, for its address and for its id, and refuses above the limits',
    ours: 'counts new devices and changed keys; for unchanged ones there is only a wide limit for each address',
    reason: 'After a restart all devices of a network register again at once, from one address.',
    explains: anyOf(
      at('register', 'registration of one ID too often', [8, 10], /register_pk_response: \{\}/),
      at('register', 'refused registrations count for nothing', [16], /register_pk_response: \{\}/),
      at('register', 'registrations from one IP: the 33rd', [70], /register_pk_response: \{\}/),
      at('limits', 'registration of one ID: the block ends', [9], /register_pk_response: \{\}/),
    ),
  },
  {
    subject: 'UUID_MISMATCH is said once, then there is silence for a while',
    reference: 'answers every RegisterPk that does not fit the stored device',
    ours: 'answers the first one of an address',
    reason: 'Stock clients answer it without any pause, thousands of times a second.',
    explains: anyOf(
      at('register', 'registration, odd ids', [7], /receives nothing/),
      at('register', 'refused registrations count for nothing', [6, 8, 10], /receives nothing/),
    ),
  },
  {
    subject: 'A heartbeat from another port moves nothing',
    reference: 'takes every heartbeat from the IP address of a device for its own, and sends it there from then on',
    ours: 'asks for the key, and moves the device when it has sent its uuid and key from there',
    reason:
      'Whoever shares an address with a device could take its place. Real devices send their key at once when they are asked.',
    explains: ({ reference, found }) =>
      /register_peer_response: \{\} \}$/.test(reference) &&
      /register_peer_response: \{ request_pk: true \} \}$/.test(found),
  },
  {
    subject: 'A new key from another address waits for the operator',
    reference: 'answers UUID_MISMATCH when the uuid is right, but neither key nor address are',
    ours: 'answers NOT_DEPLOYED, and puts the device in the list of those that wait',
    reason: 'UUID_MISMATCH makes a device throw its id away; after NOT_DEPLOYED it keeps it and asks again.',
    explains: anyOf(
      at('register', 'uuid and key rules', [11], /NOT_DEPLOYED/),
      at('restart', 'after a restart: key change is refused from another IP', [3], /NOT_DEPLOYED/),
      at('take-over', 'take-over: replaced key', [5], /NOT_DEPLOYED/),
    ),
  },
  {
    subject: 'Devices may change their id',
    reference: 'answers NOT_SUPPORT to every change of id',
    ours: 'changes it where the uuid is that of the device and nobody has the new id; here nobody has the old one',
    reason: 'Users of stock clients want names for their devices.',
    explains: ({ group, transcript, step, found }) =>
      group === 'tcpreg' && transcript.startsWith('change of ID') && step === 2 && /UUID_MISMATCH/.test(found),
  },
  {
    subject: 'Ids and keys have bounds',
    reference: 'stores ids of 6 bytes and more and keys of any length',
    ours: 'refuses ids above 100 bytes and keys that have not 32 bytes as INVALID_ID_FORMAT',
    reason: 'Memory and database grow with them. What stock clients send passes.',
    explains: anyOf(
      at('register', 'registration, odd ids', [17], /INVALID_ID_FORMAT/),
      at('register', 'registration, key of any length is taken', [2, 4], /INVALID_ID_FORMAT/),
    ),
  },
  {
    subject: 'A device is online as soon as it registered',
    reference:
      'answers OK to a RegisterPk that changes nothing, but takes neither the address nor the presence from it',
    ours: 'takes the device for online at the address of its RegisterPk',
    reason: 'After a restart a device would be offline until its next heartbeat, up to 15 s later.',
    explains: anyOf(
      at('restart', 'after a restart: a registration that changes nothing', [7, 10, 13, 19]),
      at('restart', 'a registration that changes nothing does not move the address', [8, 9]),
    ),
  },
  {
    subject: 'A device that was only asked for has to register',
    reference: 'loads the row of a device when somebody asks for it, and then accepts its heartbeat as a registration',
    ours: 'asks a device for its key at its first heartbeat after a restart, whether or not somebody asked for it',
    reason: 'Heartbeats touch no database, and what a stranger asks for should change nothing.',
    explains: anyOf(
      at('restart', 'after a restart: registrations', [10], /request_pk: true/),
      at('restart', 'after a restart: offline until it registers', [9, 13, 14]),
      at('restart', 'after a restart: the signed key comes from the database', [3, 5, 8]),
      at('take-over', 'take-over: stored mapped IPv4', [5], /request_pk: true/),
    ),
  },
  {
    subject: 'The text console has to be asked for',
    reference: 'serves every loopback client on PORT - 1 and on the relay port a console instead of the protocol',
    ours: 'does so with `CONSOLE=Y` only',
    reason: 'Clients on the machine itself, or behind a proxy there, could not use these ports.',
    explains: at('nat', 'NAT test from loopback', [6], /test_nat_response/),
  },
  {
    subject: 'The console shows plain IP addresses, and limits that count',
    reference: 'shows and expects IPv4 addresses as `::ffff:203.0.113.9`, and lists addresses whose count is 0',
    ours: 'shows and expects `203.0.113.9`, and lists addresses that registered something new',
    reason: 'Addresses are compared and shown in one form everywhere.',
    explains: anyOf(
      at('console', 'console: after registrations', [9, 10, 11, 12, 13, 34, 35, 36]),
      at('relay-console', 'relay: usage', [13], /^the console answers "203\.0\.113\.7:\d+: \d+s /),
    ),
  },
  {
    subject: 'Switching `always-use-relay` on the console leaves the relays alone',
    reference: 'passes the argument of `always-use-relay` to the list of relays too, which empties it',
    ours: 'keeps the list',
    reason: 'It is a slip of the reference.',
    explains: at('console', 'console: relay list and always-use-relay', [12, 15, 23]),
  },
  {
    subject: 'The console lists no empty lines of the block lists',
    reference: 'takes an empty line of `blocklist.txt` or `blacklist.txt` for an address',
    ours: 'skips it',
    reason: 'It blocks nobody.',
    explains: at('relay-lists', 'relay: blocklist.txt and blacklist.txt', [0, 1]),
  },
  {
    subject: 'Online status can be asked for on every port',
    reference: 'answers OnlineRequest on PORT - 1 only',
    ours: 'answers it on PORT and on the WebSocket port, too',
    reason: 'Clients in WebSocket mode ask there.',
    explains: anyOf(
      at('nat', 'online query on the main port', [2, 5], /online_response/),
      at('tcpreg', 'OnlineRequest over', [2], /online_response/),
    ),
  },
  {
    subject: 'Clients that wait for the server are offered encryption',
    reference: 'says nothing before it is asked something',
    ours: 'offers a key, by KeyExchange, on a connection to PORT on which nothing has come for 150 ms',
    reason:
      'Clients that are signed in, or have UDP switched off, wait for that for 18 s, and fail. All others send at once.',
    explains: anyOf(
      at('idle', 'idle on the main port', [1], /key_exchange: \{ keys: \[ "\(96 bytes\)" \] \}/),
      at('idle', 'idle while waiting for an answer', [13], /key_exchange: \{ keys: \[ "\(96 bytes\)" \] \}/),
    ),
  },
  {
    subject: 'Controllers may tell how long a session lives',
    reference: 'closes a connection on which HealthCheck comes',
    ours: 'keeps it open while the client sends back the empty messages that it gets',
    reason: 'Controllers that are signed in keep it as long as their session lasts.',
    explains: anyOf(
      at('tcpreg', 'HealthCheck over', [2], /stays open|receives \{\}/),
      // Whether they are to is for the server to say, not for a device.
      ({ reference, found }) => reference.replace(', feedback: 7', '') === found,
    ),
  },
  {
    subject: 'Devices register over TCP and WebSocket',
    reference: 'answers NOT_SUPPORT to every RegisterPk on a connection and closes it',
    ours: 'registers the device as over UDP and keeps the connection open; the device is online as long as it lasts',
    reason: 'Networks without UDP, proxies and WebSocket mode leave stock clients no other way.',
    explains: at('tcpreg', 'registration over', [2, 3], /keep_alive: 20|stays open|receives \{\}/),
  },
  {
    subject: 'The first message has a deadline',
    reference: 'waits 30 s from the last WebSocket frame of any kind, and for an upgrade for ever',
    ours: 'waits a fixed time for the upgrade and the first message, whatever else comes',
    reason: 'Connections that never say anything could be held open in any number.',
    explains: anyOf(
      at('idle', 'WebSocket pings restart the idle time', [4, 5], /is closed/),
      at('idle', 'WebSocket port: no upgrade', [2], /is closed/),
    ),
  },
  {
    subject: 'Large first messages are refused by their header',
    reference: 'reads and waits for frames of up to 1 GiB from anybody',
    ours: 'closes when the header announces more than the limit (docs/configuration.md)',
    reason: 'Memory that strangers fill. Among what is refused: text that is no frame, such as HTTP on the TCP port.',
    explains: anyOf(
      at('tcpreg', 'an HTTP request on the tcp port', [2], /is closed/),
      at('tcpreg', 'a large frame is read to its end', [2, 3], /is (closed|reset)/),
      at('limits', 'a frame that announces 1 GiB', [2], /is closed/),
      at('relay', 'relay TCP - WS: raw bytes on the TCP side', [7], /is closed/),
    ),
  },
  {
    subject: 'Cut datagrams are not answered',
    reference: 'accepts a message whose announced length runs past its end, if that is between two fields',
    ours: 'takes it for no message',
    reason: 'The library refuses it, and clients send whole datagrams.',
    explains: at('limits', 'UDP: cut datagrams', [2, 4], /receives nothing/),
  },
  {
    subject: 'Forwarded addresses are read in all their forms',
    reference:
      'believes X-Real-IP and X-Forwarded-For from anybody, and reads no list, no port, no brackets and no mapped address',
    ours: 'believes `TRUSTED_PROXIES` only; reads ports, brackets, mapped addresses, and lists from the right',
    reason: 'Proxies write all of these, and strangers must not choose their address.',
    explains: at('punch', 'WebSocket: forwarding headers', [21, 25, 33, 37], /socket_addr: "[^(]/),
  },
  {
    subject: 'Names in the list of ID servers are passed on as they are',
    reference: 'drops entries of `-R` and of ConfigUpdate that it cannot resolve itself',
    ours: 'passes them on',
    reason: 'The clients resolve them, and may be able to when the server is not.',
    explains: ({ group, found }) =>
      group === 'serial' && /rendezvous_servers: \[.*"no\.such\.name\.invalid"/.test(found),
  },
  {
    subject: 'Relays are always named with their port',
    reference: 'announces the LAN address of the relay without a port',
    ours: 'announces it with the port',
    reason: 'Clients would else derive the port from that of the ID server.',
    explains: (difference) => difference.group === 'mask' && butFor(withoutLanPort)(difference),
  },
  {
    subject: 'A waiting half that has gone frees its uuid at once',
    reference: 'pairs a newcomer with a connection that was closed, and ends it',
    ours: 'lets it wait for its partner',
    reason: 'The partner of the newcomer may come yet; a connection that is closed is none.',
    explains: at('relay', 'relay: the waiting side has gone', [7], /stays open/),
  },
  {
    subject: 'Every waiting half has its own 30 s',
    reference: 'ends whoever waits under a uuid 30 s after the first one came who ever waited under it',
    ours: 'ends it 30 s after it came itself',
    reason: 'A timer of the reference does not look whom it ends.',
    explains: at('relay-slow', 'relay: third connection within 30 s', [8], /closed after (29|30|31) s/),
  },
  {
    subject: 'A WebSocket close message is answered before the relay knows the client',
    reference: 'closes the connection of a client whose first message is a close message',
    ours: 'answers it first',
    reason: 'The protocol wants it so.',
    explains: at('relay', 'relay refused, WebSocket', [18], /receives close 03e8/),
  },
  {
    subject: 'Addresses in the database are plain',
    reference: 'stores IPv4 addresses in the form of its socket, `::ffff:203.0.113.9` as a rule',
    ours: 'stores `203.0.113.9`, and takes the stored form for the same',
    reason:
      'Which form it is depends on how the server was started, and the reference then asks devices for their keys.',
    explains: (difference) => difference.transcript === 'rows afterwards' && butFor(withMappedIp)(difference),
  },
]
