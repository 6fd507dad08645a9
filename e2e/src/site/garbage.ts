import { encodeFrame, encodeRendezvous, mangleAddress, type OutgoingRendezvousMessage } from '@tryst/protocol'

/** Numbers from 0 to 1 that are the same for the same seed, so that what broke something can be sent again. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** What garbage may name to get further: things that are really there. */
export interface Truths {
  readonly id: string
  readonly key: string
}

type Draw = ReturnType<typeof drawing>

function drawing(random: () => number, truths: Truths) {
  const number = (limit: number) => Math.floor(random() * limit)
  const oneOf = <T>(choices: readonly T[]): T => choices[number(choices.length)] as T
  const bytes = (length: number) => Uint8Array.from({ length }, () => number(256))
  const text = () =>
    oneOf(['', truths.id, truths.key, 'a', 'x'.repeat(500), '\u0000\n\u001b[31m', '名前', '1'.repeat(100)])
  const address = () =>
    oneOf([
      bytes(number(40)),
      mangleAddress({ ip: '127.0.0.1', port: number(65_536) }, number(0x1_0000_0000)),
      mangleAddress({ ip: '2001:db8::1', port: number(65_536) }, 0),
    ])
  const int = () => oneOf([0, 1, -1, 2, 0x7fff_ffff, -0x8000_0000, number(100)])
  return { number, oneOf, bytes, text, address, int }
}

/** Well-formed messages of every kind with fields that no client sends. */
const ODD_MESSAGES: readonly ((draw: Draw) => OutgoingRendezvousMessage)[] = [
  ({ text, int }) => ({ registerPeer: { id: text(), serial: int() } }),
  ({ text, bytes, number }) => ({ registerPk: { id: text(), uuid: bytes(number(400)), pk: bytes(number(64)) } }),
  ({ text, int, address }) => ({
    punchHoleRequest: { id: text(), natType: int(), licenceKey: text(), token: text(), socketAddrV6: address() },
  }),
  ({ text, int, address }) => ({ punchHole: { socketAddr: address(), relayServer: text(), natType: int() } }),
  ({ text, int, address }) => ({
    punchHoleSent: { socketAddr: address(), id: text(), natType: int(), version: text() },
  }),
  ({ text, address }) => ({
    localAddr: { socketAddr: address(), localAddr: address(), id: text(), relayServer: text() },
  }),
  ({ text, address }) => ({ relayResponse: { socketAddr: address(), uuid: text(), id: text(), relayServer: text() } }),
  ({ text, address }) => ({ requestRelay: { id: text(), uuid: text(), socketAddr: address(), licenceKey: text() } }),
  ({ int }) => ({ testNatRequest: { serial: int() } }),
  ({ text, number }) => ({ onlineRequest: { id: text(), peers: Array.from({ length: number(300) }, text) } }),
  ({ text, int }) => ({ configureUpdate: { serial: int(), rendezvousServers: [text(), text()] } }),
  ({ text }) => ({ softwareUpdate: { url: text() } }),
  ({ bytes, number }) => ({ keyExchange: { keys: [bytes(number(80)), bytes(32)] } }),
  ({ bytes, oneOf }) => ({ keyExchange: { keys: [oneOf([bytes(32), new Uint8Array(32)]), bytes(48)] } }),
  ({ text }) => ({ hc: { token: text() } }),
  ({ text, bytes, number }) => ({
    httpProxyRequest: {
      method: text(),
      path: text(),
      headers: [{ name: text(), value: text() }],
      body: bytes(number(99)),
    },
  }),
  ({ text, address }) => ({ fetchLocalAddr: { socketAddr: address(), relayServer: text() } }),
]

const UNKNOWN_FIELD = Uint8Array.of(0xc2, 0x3e, 0x03, 1, 2, 3)
const GROUP_OPEN = 0x0b

/** Payloads of single messages: empty, unknown, odd, truncated, changed, too deep, random. */
export function* garbagePayloads(seed: number, count: number, truths: Truths): Generator<Uint8Array> {
  const draw = drawing(seededRandom(seed), truths)
  const odd = () => encodeRendezvous(draw.oneOf(ODD_MESSAGES)(draw))
  const kinds: readonly (() => Uint8Array)[] = [
    () => new Uint8Array(0),
    () => UNKNOWN_FIELD,
    odd,
    odd,
    () => Buffer.concat([odd(), UNKNOWN_FIELD]),
    () => truncated(odd(), draw),
    () => changed(odd(), draw),
    () => new Uint8Array(draw.number(3_000)).fill(GROUP_OPEN),
    () => draw.bytes(draw.number(300)),
    // A field that announces more than there is, or more than there can be.
    () => Uint8Array.of(0x42, 0xff, 0xff, 0xff, 0xff, 0x0f, draw.number(256)),
  ]
  for (let i = 0; i < count; i++) yield (kinds[i % kinds.length] as () => Uint8Array)()
}

const truncated = (bytes: Uint8Array, { number }: Draw) => bytes.subarray(0, number(bytes.length))

function changed(bytes: Uint8Array, { number }: Draw): Uint8Array {
  const copy = Uint8Array.from(bytes)
  for (let i = 0; i <= number(4) && copy.length > 0; i++) copy[number(copy.length)] = number(256)
  return copy
}

/** Bytes on a stream that are no frames, or broken ones. */
export function* garbageStreams(seed: number, count: number, truths: Truths): Generator<Uint8Array> {
  const draw = drawing(seededRandom(seed), truths)
  const payloads = garbagePayloads(seed + 1, count, truths)
  const kinds: readonly ((payload: Uint8Array) => Uint8Array)[] = [
    (payload) => encodeFrame(payload),
    (payload) => Buffer.concat([encodeFrame(payload), encodeFrame(payload), encodeFrame(payload)]),
    (payload) => truncated(encodeFrame(payload), draw),
    () => draw.bytes(draw.number(2_000)),
    // A header that announces a gigabyte.
    () => Uint8Array.of(0xff, 0xff, 0xff, 0xff, draw.number(256)),
    () => Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'),
    // The beginning of a TLS handshake.
    () =>
      Buffer.concat([Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03), draw.bytes(500)]),
  ]
  let i = 0
  for (const payload of payloads) yield (kinds[i++ % kinds.length] as (payload: Uint8Array) => Uint8Array)(payload)
}

const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
const KEY = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
const VERSION = 'Sec-WebSocket-Version: 13\r\n'

/** What is no upgrade to a WebSocket, or a broken one. */
export const BROKEN_UPGRADES: readonly string[] = [
  '',
  'GET',
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nabc',
  'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n',
  'HEAD / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\r\nExpect: 100-continue\r\nHost: a\r\n\r\n',
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET / HTTP/1.1\r\n${'X-A: b\r\n'.repeat(3_000)}\r\n`,
  `${UPGRADE}${VERSION}\r\n`,
  `${UPGRADE}${KEY}\r\n`,
  `${UPGRADE}${KEY}Sec-WebSocket-Version: 99\r\n\r\n`,
  `${UPGRADE}${VERSION}Sec-WebSocket-Key: short\r\n\r\n`,
  `${UPGRADE.replace('GET', 'PUT')}${KEY}${VERSION}\r\n`,
  `${UPGRADE.replace('websocket', 'h2c')}${KEY}${VERSION}\r\n`,
  `${UPGRADE}${KEY}${VERSION}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99\r\n\r\n`,
  `${UPGRADE}${KEY}${VERSION}Sec-WebSocket-Protocol: ,,;\r\n\r\n`,
  `${UPGRADE}${KEY}${VERSION}X-Real-IP: ${'9'.repeat(5_000)}\r\n\r\n`,
  `${UPGRADE}${KEY}${VERSION}X-Forwarded-For: ${',, ,'.repeat(1_000)}\r\n\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\u0000\u0001\u0002\u0003',
  '\r\n'.repeat(1_000),
]

/** Frames after a good upgrade that break the rules of WebSocket (RFC 6455). */
export const BROKEN_WEB_SOCKET_FRAMES: readonly Uint8Array[] = [
  // Without a mask.
  Uint8Array.of(0x82, 0x01, 0x00),
  // Reserved bits and opcodes.
  Uint8Array.of(0xf2, 0x80, 0, 0, 0, 0),
  Uint8Array.of(0x83, 0x80, 0, 0, 0, 0),
  Uint8Array.of(0x8f, 0x80, 0, 0, 0, 0),
  // A continuation of nothing, a control frame in pieces, a long one.
  Uint8Array.of(0x80, 0x80, 0, 0, 0, 0),
  Uint8Array.of(0x09, 0x80, 0, 0, 0, 0),
  Uint8Array.of(0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0),
  // Lengths beyond everything.
  Uint8Array.of(0x82, 0xff, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
  Uint8Array.of(0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
  Uint8Array.of(0x82, 0xff, 0x00, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0),
  // A close message with a code that nobody may send, and one with half a code.
  Uint8Array.of(0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed),
  Uint8Array.of(0x88, 0x81, 0, 0, 0, 0, 0x03),
  // Text that is no UTF-8, a text in place of a message, pings, half a frame.
  Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe),
  Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69),
  Uint8Array.from({ length: 600 }, (_, i) => [0x89, 0x80, 0, 0, 0, 0][i % 6] as number),
  Uint8Array.of(0x82, 0xfe, 0x10),
]
