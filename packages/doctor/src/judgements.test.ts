import { describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import { scopeOf } from './address-scope.ts'
import type { Verdict } from './check.ts'
import { type CertificateFacts, judgeCertificate } from './checks/certificate.ts'
import { judgeClock } from './checks/clock.ts'
import { judgeForwarded } from './checks/forwarded-headers.ts'
import { judgeKey, type KeyFacts } from './checks/key.ts'
import { judgeNames } from './checks/names.ts'
import { judgeNatTest } from './checks/nat-test.ts'
import { judgePorts } from './checks/ports.ts'
import { judgePaths } from './checks/proxy-paths.ts'
import { judgeRegistration } from './checks/registration.ts'
import { judgeRelayAddress, type RelayAddressFacts } from './checks/relay-address.ts'
import { judgeRelayKey } from './checks/relay-key.ts'
import { judgeRelayed } from './checks/sessions.ts'
import { judgeSources } from './checks/sources.ts'
import { judgeUdp } from './checks/udp.ts'
import type { TcpAnswer } from './probes/tcp-port.ts'

const OPEN: TcpAnswer = { kind: 'open', ms: 1, ownIp: '192.0.2.9' }
const SILENT: TcpAnswer = { kind: 'timeout' }
const REFUSED: TcpAnswer = { kind: 'refused' }
const SERVER = '198.51.100.7'

/** Code and severity of what is not in order. */
const faultsOf = ({ findings }: Verdict) =>
  findings.filter(({ severity }) => severity !== 'ok').map(({ code, severity }) => `${severity} ${code}`)

describe('how far an address reaches', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['::1', 'loopback'],
    ['172.18.0.3', 'container'],
    ['172.32.0.1', 'public'],
    ['10.1.2.3', 'private'],
    ['100.100.0.1', 'private'],
    ['fd00::1', 'private'],
    ['2001:db8::1', 'public'],
    [SERVER, 'public'],
  ])('%s: %s', (ip, scope) => expect(scopeOf(ip)).toBe(scope))
})

describe('a name', () => {
  const facts = { host: 'id.example.com', port: 21116, error: undefined }
  it.each([
    [{ ...facts, error: 'ENOTFOUND', addresses: [] }, ['error name-unresolved']],
    [{ ...facts, addresses: [[SERVER, OPEN]] as const }, []],
    [
      {
        ...facts,
        addresses: [
          ['2001:db8::1', SILENT],
          [SERVER, OPEN],
        ] as const,
      },
      ['error address-dead'],
    ],
    [
      {
        ...facts,
        addresses: [
          ['2001:db8::1', { kind: 'unreachable', code: 'ENETUNREACH' }],
          [SERVER, OPEN],
        ] as const,
      },
      [],
    ],
    // The ports tell why.
    [{ ...facts, addresses: [[SERVER, SILENT]] as const }, []],
  ])('%#', (given, faults) => expect(faultsOf(judgeNames(given))).toEqual(faults))

  it('stands for the address that answers', () => {
    expect(
      judgeNames({
        ...facts,
        addresses: [
          ['2001:db8::1', SILENT],
          [SERVER, OPEN],
        ],
      }).learned?.ip,
    ).toBe(SERVER)
  })
})

describe('the ports', () => {
  const ports = { api: 21114, natTest: 21115, id: 21116, relay: 21117, idWebSocket: 21118, relayWebSocket: 21119 }
  const judge = (closed: Partial<Record<number, TcpAnswer>>, more: { answersHere?: string } = {}) =>
    judgePorts({
      host: SERVER,
      ip: SERVER,
      ports,
      answers: new Map(Object.values(ports).map((port) => [port, closed[port] ?? OPEN])),
      standardNatTest: undefined,
      answersHere: more.answersHere,
    })
  const all = (answer: TcpAnswer) => Object.fromEntries(Object.values(ports).map((port) => [port, answer]))

  it.each([
    [judge({}), []],
    [judge({ 21115: SILENT }), ['error port-closed']],
    [judge({ 21116: REFUSED }), ['error port-closed']],
    [judge({ 21114: REFUSED, 21118: SILENT, 21119: SILENT }), []],
    [judge(all(SILENT)), ['error server-unreachable']],
    [judge(all(SILENT), { answersHere: '192.168.1.2' }), ['error hairpin-missing']],
    // Refused: something is there.
    [judge(all(REFUSED), { answersHere: '192.168.1.2' }), ['error server-unreachable']],
  ])('%#', (verdict, faults) => expect(faultsOf(verdict)).toEqual(faults))
})

describe('the clock', () => {
  it.each([
    [undefined, []],
    [-59_000, []],
    [120_000, ['warning clock-off']],
    [-86_400_000, ['error clock-off']],
  ])('%s ms ahead', (clockAheadMs, faults) =>
    expect(faultsOf(judgeClock({ clockAheadMs, url: 'http://x/', ourTime: 'now' }))).toEqual(faults),
  )
})

describe('the key', () => {
  const key = { text: 'KEY=', from: '--key' }
  const facts: KeyFacts = { host: SERVER, port: 21116, key, keyOnPage: undefined, offer: 'signed', answer: 'unknown' }
  it.each<[Partial<KeyFacts>, string[]]>([
    [{}, []],
    [{ answer: 'keyMismatch', offer: 'otherKey' }, ['error key-wrong']],
    // A server that asks for no key signs all the same.
    [{ offer: 'otherKey' }, ['error key-wrong']],
    [{ answer: 'keyMismatch', offer: 'notAsked', key: undefined }, ['warning key-unknown']],
    [{ key: undefined, offer: 'notAsked' }, []],
    [{ offer: 'none' }, ['warning key-unsigned']],
    [{ answer: 'silence' }, ['error state-unavailable']],
    [{ answer: 'foreign' }, ['error not-an-id-server']],
    [{ answer: 'closed', offer: 'none' }, ['error not-an-id-server']],
    [{ answer: { refusal: 'not for you' } }, []],
    [{ keyOnPage: 'OTHER=' }, ['warning key-wrong']],
  ])('%j', (more, faults) => expect(faultsOf(judgeKey({ ...facts, ...more }))).toEqual(faults))
})

describe('UDP', () => {
  const facts = { ip: SERVER, port: 21116, wasRefused: false, arrived: undefined }
  it.each([
    [{ ...facts, answered: 'register' as const }, []],
    // The store cannot be asked: another check says so.
    [{ ...facts, answered: 'natTest' as const }, []],
    [{ ...facts, answered: 'nothing' as const }, ['error udp-closed']],
    [{ ...facts, answered: 'nothing' as const, arrived: false }, ['error udp-closed']],
    [{ ...facts, answered: 'nothing' as const, arrived: true }, ['error udp-one-way']],
  ])('%#', (given, faults) => expect(faultsOf(judgeUdp(given))).toEqual(faults))
})

describe('the NAT test', () => {
  const seen = (seenPort: number) => ({ seenPort, ownPort: 40_000, ownIp: '192.0.2.9' })
  it.each([
    [seen(40_000), seen(40_000), []],
    [seen(40_000), seen(40_001), ['warning nat-test-inconsistent']],
    [undefined, seen(40_001), ['warning nat-test-silent']],
  ])('%#', (first, second, faults) =>
    expect(faultsOf(judgeNatTest({ first, second, idPort: 21116, isHere: false }))).toEqual(faults),
  )
})

describe('a registration', () => {
  const { NOT_DEPLOYED, SERVER_ERROR, TOO_FREQUENT } = rendezvous.RegisterPkResponse.Result
  it.each([
    ['online' as const, []],
    ['silence' as const, ['error registration-silent']],
    ['idTaken' as const, ['error id-taken']],
    [{ result: NOT_DEPLOYED }, []],
    [{ result: SERVER_ERROR }, ['error state-unavailable']],
    [{ result: TOO_FREQUENT }, ['error registration-refused']],
  ])('%j', (answer, faults) =>
    expect(faultsOf(judgeRegistration({ id: 'doctor_1', answer, device: undefined }))).toEqual(faults),
  )
})

describe('the source address', () => {
  const judge = (serverIp: string, seenIp: string | undefined, ownIp: string, isHere = false) =>
    judgeSources({ serverIp, isHere, push: { seenIp, ownIp, relayServer: 'r', refusal: undefined } })
  it.each([
    [judge(SERVER, '192.0.2.1', '192.168.1.5'), []],
    [judge(SERVER, '172.18.0.1', '192.168.1.5'), ['error sources-hidden']],
    [judge('192.168.1.2', '192.168.1.5', '192.168.1.5'), []],
    [judge('192.168.1.2', '172.18.0.1', '192.168.1.5'), ['error sources-hidden']],
    // A client's own router, on the way to another private network.
    [judge('192.168.1.2', '192.168.1.1', '10.0.0.5'), []],
    [judge('192.168.1.2', '172.18.0.1', '192.168.1.2', true), []],
    [judge(SERVER, undefined, '192.168.1.5'), ['error push-lost']],
  ])('%#', (verdict, faults) => expect(faultsOf(verdict)).toEqual(faults))
})

describe('the address behind a reverse proxy', () => {
  it.each([
    ['192.0.2.9', '192.0.2.9', []],
    ['127.0.0.1', '192.0.2.9', ['error headers-missing']],
    ['172.18.0.4', undefined, ['error headers-missing']],
    // Some networks have several addresses outside.
    ['192.0.2.10', '192.0.2.9', []],
    ['2001:db8::1', '192.0.2.9', []],
  ])('%s instead of %s', (seenByProxy, seenDirectly, faults) =>
    expect(faultsOf(judgeForwarded({ seenByProxy, seenDirectly, ownIp: '192.168.1.5' }))).toEqual(faults),
  )
})

describe('the relay', () => {
  const facts: RelayAddressFacts = {
    relay: 'relay.example.com',
    isNamed: true,
    ip: '198.51.100.8',
    port: 21117,
    answer: OPEN,
    serverHost: SERVER,
    serverIp: SERVER,
    idPort: 21116,
    derivedPort: 21117,
    atServer: undefined,
    atStandardPort: undefined,
  }
  it.each<[Partial<RelayAddressFacts>, string[]]>([
    [{}, []],
    [{ ip: undefined }, ['error relay-unresolved']],
    [{ ip: '127.0.0.1' }, ['error relay-loopback']],
    [{ ip: '127.0.0.1', serverIp: '127.0.0.1' }, []],
    // Reached from here, but not from everywhere.
    [{ ip: '192.168.1.4' }, ['error relay-private']],
    [{ ip: '192.168.1.4', serverIp: '192.168.1.2' }, []],
    [{ ip: '172.18.0.3', serverIp: '192.168.1.2', answer: SILENT, atServer: OPEN }, ['error relay-private']],
    [{ serverIp: '192.168.1.2', answer: SILENT, atServer: OPEN }, ['error hairpin-missing']],
    [{ serverIp: '192.168.1.2', answer: REFUSED, atServer: OPEN }, ['error relay-unreachable']],
    [{ answer: REFUSED }, ['error relay-unreachable']],
    [{ answer: REFUSED, isNamed: false }, ['warning relay-unreachable']],
    [{ port: 31_117, derivedPort: 31_117, answer: REFUSED, atStandardPort: OPEN }, ['error ports-half-moved']],
  ])('at an address: %j', (more, faults) => expect(faultsOf(judgeRelayAddress({ ...facts, ...more }))).toEqual(faults))

  it.each([
    ['waits', 'waits', []],
    ['closes', 'waits', ['error relay-key']],
    ['closes', 'closes', ['error relay-closes']],
    ['unreachable', 'unreachable', ['error relay-closes']],
  ] as const)('that %s with the key and %s without a word', (withKey, silent, faults) =>
    expect(faultsOf(judgeRelayKey({ relay: 'r', key: 'k', withKey, silent, joins: false }))).toEqual(faults),
  )

  it.each([
    ['aborted', ['error relay-not-joined']],
    ['handshake', ['error relay-not-joined']],
    ['relayTimeout', ['error session-failed']],
  ])('in a session that ends with %s', (failure, faults) => {
    const outcome = { kind: 'failed', failure, text: 'some text' } as const
    expect(faultsOf(judgeRelayed({ outcome, relayServer: 'r', relayIsOpen: false }))).toEqual(faults)
  })
})

describe('the reverse proxy', () => {
  const judge = (id: number | 'upgraded', relay: number | 'upgraded', isNeeded: boolean, isIdServer = true) =>
    judgePaths({ url: 'wss://x', id, relay, isIdServer, isNeeded })
  it.each([
    [judge('upgraded', 'upgraded', true), []],
    [judge('upgraded', 'upgraded', true, false), ['error proxy-path']],
    [judge(404, 'upgraded', true), ['error proxy-path']],
    [judge(502, 502, false), ['error proxy-path']],
    // Somebody's web page.
    [judge(404, 404, false), []],
    [judge(404, 404, true), ['error proxy-path']],
  ])('leads to the servers: %#', (verdict, faults) => expect(faultsOf(verdict)).toEqual(faults))

  const certificate = { fault: undefined, names: 'x', issuer: 'y', expiresMs: Date.parse('2026-06-01') }
  const facts: CertificateFacts = {
    ...{ host: 'x', port: 443, isWanted: true, answer: OPEN, plainAnswer: undefined },
    ...{ certificate, nowMs: Date.parse('2026-01-01') },
  }
  it.each<[Partial<CertificateFacts>, string[]]>([
    [{}, []],
    [{ nowMs: Date.parse('2026-05-30') }, ['warning certificate-expiring']],
    [{ certificate: { ...certificate, fault: 'CERT_HAS_EXPIRED' } }, ['error certificate-expired']],
    [{ certificate: { ...certificate, fault: 'ERR_TLS_CERT_ALTNAME_INVALID' } }, ['error certificate-name']],
    [{ certificate: { ...certificate, fault: 'DEPTH_ZERO_SELF_SIGNED_CERT' } }, ['error certificate-untrusted']],
    [{ certificate: { ...certificate, fault: 'CERT_HAS_EXPIRED' }, isWanted: false }, ['warning certificate-expired']],
    [{ certificate: undefined }, ['error proxy-closed']],
    [{ answer: SILENT, certificate: undefined }, ['error proxy-closed']],
    [{ answer: SILENT, certificate: undefined, isWanted: false }, []],
    [{ answer: REFUSED, certificate: undefined, plainAnswer: OPEN }, []],
  ])('has a certificate: %j', (more, faults) =>
    expect(faultsOf(judgeCertificate({ ...facts, ...more }))).toEqual(faults),
  )
})
