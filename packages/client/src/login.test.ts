import { describe, expect, it } from '@jest/globals'
import { decodeSession, encodeSession, type session } from '@tryst/protocol/session'
import { countFailure, decideLogin, LOGIN_TEXTS, type LoginFacts, loginScope, NO_FAILURES } from './login.ts'

const right = Uint8Array.of(1, 2, 3)
const facts: LoginFacts = {
  deviceId: '111222333',
  firstScope: undefined,
  failures: NO_FAILURES,
  expectedProof: right,
  nowMs: 0,
}

const request = (fields: session.LoginRequest.$Properties = {}): session.LoginRequest =>
  decodeSession(encodeSession({ loginRequest: { username: '111222333', password: right, myId: 'c', ...fields } }))
    .loginRequest as session.LoginRequest
const failuresAfter = (count: number, atMs: (i: number) => number) =>
  Array.from({ length: count }).reduce(
    (failures: typeof NO_FAILURES, _, i) => countFailure(failures, atMs(i)),
    NO_FAILURES,
  )

describe('login', () => {
  it('accepts the right password', () => {
    expect(decideLogin(request(), facts)).toEqual({ kind: 'accept' })
  })

  it('accepts a controller that came by address', () => {
    for (const username of ['203.0.113.7', '2001:db8::1', 'device.example.com:21118']) {
      expect(decideLogin(request({ username }), facts).kind).toBe('accept')
    }
  })

  it.each<[string, session.LoginRequest.$Properties, Partial<LoginFacts>, object]>([
    ['another id', { username: '999' }, {}, { kind: 'refuse', text: LOGIN_TEXTS.offline, closes: true }],
    ['an empty password', { password: new Uint8Array(0) }, {}, { kind: 'wait' }],
    ['a wrong password', { password: Uint8Array.of(9) }, {}, { kind: 'wrongPassword' }],
    ['any password where there is none', {}, { expectedProof: undefined }, { kind: 'wrongPassword' }],
    [
      'another controller id than before',
      {},
      { firstScope: 'other desktop' },
      { kind: 'refuse', text: LOGIN_TEXTS.notAllowed, closes: true },
    ],
    [
      'another kind of session than before',
      { terminal: {} },
      { firstScope: 'c desktop' },
      { kind: 'refuse', text: LOGIN_TEXTS.notAllowed, closes: true },
    ],
  ])('answers %s', (_, fields, changed, decision) => {
    expect(decideLogin(request(fields), { ...facts, ...changed })).toEqual(decision)
  })

  it('refuses the 8th attempt of a minute and lets the next minute pass', () => {
    const failures = failuresAfter(7, () => 0)
    expect(decideLogin(request(), { ...facts, failures: failuresAfter(6, () => 0) }).kind).toBe('accept')
    expect(decideLogin(request(), { ...facts, failures })).toMatchObject({ text: LOGIN_TEXTS.oneMinute, closes: false })
    expect(decideLogin(request(), { ...facts, failures, nowMs: 60_000 }).kind).toBe('accept')
  })

  it('refuses everything after 31 failures', () => {
    const failures = failuresAfter(31, (i) => i * 60_000)
    expect(decideLogin(request(), { ...facts, failures, nowMs: 1e9 })).toMatchObject({ text: LOGIN_TEXTS.tooMany })
  })

  it('names what has to stay the same on one connection', () => {
    expect([loginScope(request()), loginScope(request({ fileTransfer: {} }))]).toEqual(['c desktop', 'c fileTransfer'])
  })
})
