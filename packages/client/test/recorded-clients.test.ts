import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeRendezvous, encodeRendezvous } from '@tryst/protocol'
import type { ChangeIdOutcome } from '../src/change-id.ts'
import { pause } from '../src/clock.ts'
import { ConnectError } from '../src/connect-error.ts'
import { Controller } from '../src/controller.ts'
import type { ControllerOptions } from '../src/controller-core.ts'
import { Device, type DeviceOptions } from '../src/device.ts'
import { type Actor, CLIENT_IP, type Played, play, type Stage } from './play.ts'
import { clients, missing, recordingNamed } from './recordings.ts'
import { SteadyClock } from './steady-clock.ts'

/** How far from the recorded moment a message may be, in milliseconds of the clock; devices tick every second. */
const PACE_TOLERANCE_MS = 500
/** The recorded server answered so fast that 15 s were over at the device's fifteenth tick, not at its sixteenth. */
const PACE_TOLERANCES_MS: Readonly<Record<string, number>> = { 'change-id (device)': 1_500 }

/** The recordings begin one after the other, since each does most at its beginning. */
const STAGGER_MS = 40

/** A device that starts: the recording shows its registration. */
const startingDevice = (options: Partial<DeviceOptions> = {}): Actor => ({
  role: 'device',
  registration: true,
  run: async (stage) => {
    const device = new Device({ ...deviceOptions(stage), ...options })
    stage.begin()
    void device.start()
    return () => device.close()
  },
})

/** A device that has been registered for a while. */
const registeredDevice = ({ heartbeats = false } = {}): Actor => ({
  role: 'device',
  registration: heartbeats,
  run: async (stage) => {
    const accepted = encodeRendezvous({ registerPkResponse: {} })
    const alive = encodeRendezvous({ registerPeerResponse: {} })
    stage.standIn.udpFilter = (datagram, reply) => {
      reply(decodeRendezvous(datagram).union === 'registerPk' ? accepted : alive)
      return true
    }
    const device = new Device({ ...deviceOptions(stage), natType: 'asymmetric' })
    await device.start()
    await device.online()
    if (heartbeats) stage.standIn.udpFilter = undefined
    stage.begin()
    return () => device.close()
  },
})

const deviceOptions = ({ server, identity, clock }: Stage): DeviceOptions => ({
  server,
  identity,
  clock,
  password: clients.ids.password,
  localAddress: CLIENT_IP.device,
})

/** Changes of id that a user asks for, each so long after the one before it, or after the start. */
async function changeIds(name: string, device: Device, { clock }: Stage, pausesMs: readonly number[]): Promise<void> {
  const told: ChangeIdOutcome[] = []
  outcomes.set(name, told)
  const wanted = recordingNamed(name).shown?.flatMap(({ changeId }) => changeId?.new ?? []) ?? []
  for (const [index, id] of wanted.entries()) {
    await pause(clock, pausesMs[index] ?? 0)
    told.push(await device.changeId(id))
  }
}

/** A device whose user wants other ids. */
const renamedDevice = (
  name: string,
  pausesMs: readonly number[],
  { registration }: { registration: boolean },
): Actor => ({
  ...{ role: 'device', registration },
  run: async (stage) => {
    const device = new Device({ ...deviceOptions(stage), ...(registration ? {} : { natType: 'asymmetric' }) })
    stage.begin()
    if (registration) void device.start()
    const asked = changeIds(name, device, stage, pausesMs)
    return async () => {
      await asked
      await device.close()
    }
  },
})

/** What a user is told. */
const WORDS: Readonly<Record<ChangeIdOutcome, string>> = {
  changed: '',
  invalidFormat: 'Invalid format',
  notAvailable: 'Not available',
  tooFrequent: 'Too frequent',
  notSupported: 'server_not_support',
  serverError: 'Server error',
  unknownError: 'Unknown error',
}

/** What a controller that was to connect, or to ask, came to. */
const outcomes = new Map<string, unknown>()

/** The recorded client got as far as a connection to the device. */
const comesToSession = (name: string) => recordingNamed(name).shown?.some((shown) => shown.connection !== undefined)

const controller = (
  name: string,
  run: (controller: Controller) => Promise<unknown>,
  options: Partial<ControllerOptions> = {},
): Actor => ({
  role: 'controller',
  registration: false,
  run: async (stage) => {
    const { server, clock } = stage
    const peer = new Controller({ server, clock, id: '444555666', localAddress: CLIENT_IP.controller, ...options })
    stage.begin()
    const outcome = run(peer).then(
      (value) => outcomes.set(name, value),
      (error: unknown) => outcomes.set(name, error),
    )
    return async () => {
      // What was refused or asked comes to its end by itself; a session is cut off behind the handshake.
      if (!comesToSession(name)) await outcome
      await peer.close()
      await outcome
    }
  },
})

const connecting = (name: string, options: Partial<ControllerOptions> = {}, connectOptions = {}): Actor =>
  controller(
    name,
    (peer) => peer.connect(clients.ids.device, { password: clients.ids.password, ...connectOptions }),
    options,
  )

const asking = (name: string, ids: readonly string[], options: Partial<ControllerOptions> = {}): Actor =>
  controller(name, (peer) => peer.queryOnline(ids), options)

const webSocket = { transport: 'websocket' } as const
const signedIn = { token: 'test-token-1' }
const withoutUdp = { registration: 'connection' } as const
const relayed = { forceRelay: true }

/** Every recorded side that our peers take, by the name of its recording. */
const PLAYED: readonly (readonly [string, Actor])[] = [
  ['dev-start-unconfirmed', startingDevice()],
  ['dev-start-confirmed', startingDevice({ keyConfirmed: true })],
  ['dev-start-1.4.9', startingDevice()],
  ['nat-test-refused', startingDevice({ keyConfirmed: true })],
  ['uuid-mismatch', startingDevice()],
  ['change-id-reference', renamedDevice('change-id-reference', [0], { registration: false })],
  ['change-id', renamedDevice('change-id', [1_997, 14_069, 67], { registration: true })],
  ['hbbs-restart', registeredDevice({ heartbeats: true })],
  ['ws-registration', startingDevice(webSocket)],
  ['ws-registration-reference', startingDevice(webSocket)],
  ['punch-direct', registeredDevice()],
  ['punch-direct-controller-1.4.9', registeredDevice()],
  ['punch-direct-controller-1.3.9', registeredDevice()],
  ['same-network', registeredDevice()],
  ['relay-by-device', registeredDevice()],
  ['relay-by-device-controller-1.3.9', registeredDevice()],
  ['relay-by-device-device-1.4.9', registeredDevice()],
  ['relay-by-controller', registeredDevice()],
  ['relay-by-controller-1.4.9', registeredDevice()],
  ['relay-ws-controller', registeredDevice()],
  ['relay-ws-controller-1.4.9', registeredDevice()],
  ...[
    'tcp-registration',
    'tcp-registration-delayed-key-exchange',
    'tcp-registration-silent-server',
    'tcp-registration-reference',
  ].map((name) => [name, startingDevice(withoutUdp)] as const),
  ['relay-ws-device', startingDevice(webSocket)],
  ['wrong-password', registeredDevice()],
  ['no-signed-key', startingDevice()],
  ...[
    'punch-direct',
    'punch-direct-controller-1.4.9',
    'punch-direct-device-1.4.9',
    'punch-direct-device-1.3.9',
    'same-network',
    'relay-by-controller',
    'relay-by-controller-1.4.9',
    'relay-request-silence',
    'wrong-password',
    'not-signed-in-key-exchange',
    'refused-failure-0',
    'refused-failure-1',
    'refused-failure-2',
    'refused-failure-2-1.4.9',
    'refused-failure-3',
    'refused-failure-4',
    'refused-other-failure',
    'refused-relay-refuse-reason',
    'refused-close',
    'refused-empty-frame',
    'refused-silence',
  ].map((name) => [name, connecting(name)] as const),
  ...[
    'signed-in-key-exchange',
    'signed-in-key-exchange-delayed',
    'signed-in-key-exchange-bad-signature',
    'signed-in-key-exchange-two-keys',
    'signed-in-first-frame-empty',
    'signed-in-first-frame-junk',
    'signed-in-first-frame-other',
    'signed-in-reference',
    'relay-request-refused',
    'signed-in-direct',
    'signed-in-direct-controller-1.4.9',
    'signed-in-relay-by-controller',
  ].map((name) => [name, connecting(name, signedIn)] as const),
  ['signed-in-relay', connecting('signed-in-relay', signedIn, relayed)],
  ['no-signed-key', connecting('no-signed-key', {}, { unencrypted: 'accept' })],
  ['file-transfer', connecting('file-transfer', {}, { unencrypted: 'accept', kind: 'fileTransfer' })],
  ['terminal', connecting('terminal', {}, { unencrypted: 'accept', kind: 'terminal' })],
  ['relay-by-device', connecting('relay-by-device', {}, relayed)],
  ['relay-by-device-device-1.4.9', connecting('relay-by-device-device-1.4.9', {}, relayed)],
  ['relay-by-device-device-1.3.9', connecting('relay-by-device-device-1.3.9', {}, relayed)],
  ['relay-ws-device', connecting('relay-ws-device')],
  ...['relay-ws-controller', 'relay-ws-controller-1.4.9', 'relay-ws-both', 'ws-refused', 'ws-refused-keyexchange'].map(
    (name) => [name, connecting(name, webSocket)] as const,
  ),
  ['online-standin', asking('online-standin', ['111222333', '999888777', '444555666'])],
  ['online-standin-keyexchange', asking('online-standin-keyexchange', ['111222333', '999888777', '444555666'])],
  ['online-standin-ws', asking('online-standin-ws', ['111222333', '999888777'], webSocket)],
  ['online-reference-ws', asking('online-reference-ws', ['111222333', '999888777'], webSocket)],
]

const OLD_VERSION = 'a client of version 1.3.9; ours is a 1.4.9'
const NEEDS_FILTER = 'needs a packet filter on the direct path; the limits are tested as a decision'

/** Recordings, or sides of them, that are not played. */
const OUT_OF_SCOPE: Readonly<Record<string, string>> = {
  'dev-start-1.3.9': OLD_VERSION,
  'refused-failure-2-1.3.9': OLD_VERSION,
  'refused-silence-1.3.9': OLD_VERSION,
  'signed-in-reference-1.3.9': OLD_VERSION,
  'signed-in-direct-controller-1.3.9': OLD_VERSION,
  'relay-by-controller-after-timeout': NEEDS_FILTER,
  'udp-punch': 'both peers of it are played in a suite of its own',
  'udp-punch-relay-first': 'the same, up to which of two ways was faster',
  'online-reference': 'the same as online-standin but for the answer',
  'refused-reference-unknown-id': 'the same as refused-failure-0',
  'refused-reference-wrong-key': 'the same as refused-failure-3, with another key configured',
  'punch-direct-device-1.4.9 (device)':
    'its connection of the NAT test belongs to an earlier moment; punch-direct is the same',
  'relay-by-device-device-1.3.9 (device)': OLD_VERSION,
  'punch-direct-device-1.3.9 (device)': OLD_VERSION,
  'relay-ws-both (device)':
    'registered before the recording began, which so lacks the push; relay-ws-device is the same',
}

const describeRecorded = missing ? describe.skip : describe

describeRecorded(`recordings of stock clients${missing ? ` (${missing})` : ''}`, () => {
  const playing = new Map<string, Promise<Played>>()
  let clock: SteadyClock
  const keyOf = (name: string, actor: Actor) => `${name} (${actor.role})`

  // All at once: most of the time goes by in the waits of the recorded clients.
  beforeAll(() => {
    clock = new SteadyClock()
    for (const [i, [name, actor]] of PLAYED.entries()) {
      const started = new Promise((resolve) => setTimeout(resolve, i * STAGGER_MS))
      const played = started.then(() => play(recordingNamed(name), actor, clock))
      played.catch(() => undefined)
      playing.set(keyOf(name, actor), played)
    }
  })

  afterAll(async () => {
    await Promise.allSettled(playing.values())
    clock.stop()
  })

  it.each(PLAYED.map(([name, actor]) => [keyOf(name, actor)]))(
    'plays the part of %s',
    async (key) => {
      const { recorded, ours, upgrades } = (await playing.get(key)) as Played
      const content = ({ label, kind, message }: Played['ours'][number]) => ({ label, kind, message })
      const labels = [...new Set(recorded.map(({ label }) => label))]
      for (const label of labels) {
        const of = (lines: Played['ours']) => lines.filter((line) => line.label === label).map(content)
        expect(of(ours)).toEqual(of(recorded))
      }
      // The NAT test and the registration run side by side: which is faster depends on the machine.
      const opens = (lines: Played['ours']) =>
        lines.filter(({ kind, label }) => kind === 'open' && !label.startsWith('hbbs-nat')).map(({ label }) => label)
      expect(opens(ours)).toEqual(opens(recorded))
      const toleranceMs = PACE_TOLERANCES_MS[key] ?? PACE_TOLERANCE_MS
      const late = recorded.filter((line, i) => Math.abs((ours[i]?.atMs ?? Number.NaN) - line.atMs) > toleranceMs)
      expect(late).toEqual([])
      for (const [theirs, own] of upgrades) expect([...own].sort()).toEqual([...theirs].sort())
    },
    180_000,
  )

  const refused = PLAYED.filter(
    ([name, { role }]) =>
      role === 'controller' && (missing || recordingNamed(name).shown?.[0]?.message?.type === 'error'),
  )
  it.each(refused.map(([name]) => [name]))('shows what the recorded client showed in %s', async (name) => {
    await playing.get(`${name} (controller)`)
    const shown = recordingNamed(name).shown?.[0]?.message
    const error = outcomes.get(name)
    expect(error).toBeInstanceOf(ConnectError)
    expect({ text: (error as ConnectError).message, retry: (error as ConnectError).retries }).toEqual({
      text: shown?.text,
      retry: shown?.retry,
    })
  })

  it.each(['change-id-reference', 'change-id'])('tells its user what the recorded client told in %s', async (name) => {
    await playing.get(`${name} (device)`)
    const told = outcomes.get(name) as readonly ChangeIdOutcome[]
    expect(told.map((outcome) => WORDS[outcome])).toEqual(
      recordingNamed(name).shown?.map(({ changeId }) => changeId?.answer),
    )
  })

  it('learns from an online query what the recorded client learned', async () => {
    await playing.get('online-standin (controller)')
    const { online = [], offline = [] } = recordingNamed('online-standin').shown?.[0] ?? {}
    expect(outcomes.get('online-standin')).toEqual(
      new Map([...online.map((id) => [id, true] as const), ...offline.map((id) => [id, false] as const)]),
    )
  })

  it('knows of every recording whether it is played', () => {
    const known = new Set([...PLAYED.map(([name]) => name), ...Object.keys(OUT_OF_SCOPE)])
    expect(clients.recordings.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([])
  })
})
