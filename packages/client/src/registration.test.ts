import { describe, expect, it } from '@jest/globals'
import {
  nextTickAtMs,
  type RegistrationState,
  registerPeerAnswered,
  registerPkAnswered,
  registrationTick,
  startRegistration,
} from './registration.ts'

/** Runs a registration for `durationMs`, answering what `answer` says, and notes what is sent when. */
function run(
  start: RegistrationState,
  durationMs: number,
  answer: (
    sent: 'registerPeer' | 'registerPk',
    atMs: number,
  ) => ((state: RegistrationState) => RegistrationState) | undefined,
) {
  const sent: [number, string][] = []
  const rebinds: number[] = []
  let state = start
  for (let nowMs = 0; nowMs <= durationMs; nowMs = Math.max(nextTickAtMs(state, nowMs + 1), nowMs + 1)) {
    const step = registrationTick(state, nowMs)
    state = step.state
    if (step.rebind) rebinds.push(nowMs)
    if (!step.send) continue
    sent.push([nowMs, step.send])
    state = answer(step.send, nowMs)?.(state) ?? state
  }
  return { sent, state, rebinds }
}

const accepted = (atMs: number) => (state: RegistrationState) => registerPkAnswered(state, 'ok', atMs + 1).state
const alive = (atMs: number) => (state: RegistrationState) => registerPeerAnswered(state, false, atMs + 1).state

describe('registration over UDP', () => {
  it('sends the key first and a heartbeat every 16 s after that', () => {
    const { sent, state } = run(startRegistration(0, false), 50_000, (what, atMs) =>
      what === 'registerPk' ? accepted(atMs) : alive(atMs),
    )
    expect(sent).toEqual([
      [0, 'registerPk'],
      [16_000, 'registerPeer'],
      [32_000, 'registerPeer'],
      [48_000, 'registerPeer'],
    ])
    expect(state.status).toBe('online')
  })

  it('begins with a heartbeat when the key was confirmed before', () => {
    expect(registrationTick(startRegistration(0, true), 0).send).toBe('registerPeer')
  })

  it('repeats at the fourth tick what is not answered, is connecting after 2 failures and offline after 4', () => {
    const seen = new Map<string, number>()
    let state = startRegistration(0, true)
    for (let nowMs = 0; nowMs <= 20_000; nowMs += 1_000) {
      const step = registrationTick(state, nowMs)
      state = step.state
      if (!seen.has(state.status)) seen.set(state.status, nowMs)
    }
    expect([...seen]).toEqual([
      ['starting', 0],
      ['connecting', 8_000],
      ['offline', 16_000],
    ])
  })

  it('binds a new socket every 60 s while the server is gone', () => {
    expect(run(startRegistration(0, true), 130_000, () => undefined).rebinds).toEqual([60_000, 120_000])
  })

  it('sends the key at once when the server asks for it', () => {
    const { state } = registrationTick(startRegistration(0, true), 0)
    const step = registerPeerAnswered(state, true, 5)
    expect(step.send).toBe('registerPk')
    expect(registerPkAnswered(step.state, 'ok', 6).state).toMatchObject({
      status: 'online',
      keyConfirmed: true,
      failures: 0,
    })
  })

  it('registers a new id at once after UUID_MISMATCH', () => {
    const { state } = registrationTick(startRegistration(0, false), 0)
    expect(registerPkAnswered(state, 'uuidMismatch', 5).send).toBe('registerPk')
  })

  it('tries again at the usual time after any other refusal', () => {
    const { state } = registrationTick(startRegistration(0, false), 0)
    const step = registerPkAnswered(state, 'other', 5)
    expect(step.send).toBeUndefined()
    expect(nextTickAtMs(step.state, 5)).toBe(16_000)
    expect(registrationTick(step.state, 16_000).send).toBe('registerPk')
  })
})
