import { connect } from 'node:net'
import {
  decodeBase64,
  decodeRendezvous,
  encodeIdPk,
  encodeRendezvous,
  formatEndpoint,
  mangleAddress,
  type RendezvousMessage,
} from '@tryst/protocol'
import { boxKeyPairOf } from '@tryst/protocol/secure-tcp'
import { createBoxKeyPair, deviceHello, signCombined } from '@tryst/protocol/session'
import { type Clock, pause } from '../src/clock.ts'
import { createDeviceIdentity } from '../src/device-identity.ts'
import { type Known, normalise } from './normalise.ts'
import { clients, type Recording, type Role, type ScriptEvent, scriptFor } from './recordings.ts'
import { type Observed, StandIn } from './stand-in.ts'

const SERVER_IP = '127.77.0.1'
export const CLIENT_IP = { device: '127.77.1.2', controller: '127.77.2.2' } as const
const RECORDED_RELAY = '10.77.0.1:21117'
const RECORDED_DEVICE_KEY = '16bfdd08a681b33d88951774f5cf10240ebf257c303a38f6c4edcdd6f476d40d'
/** How the message begins. */
const KEY_EXCHANGE = 'ca01'
/** Longest wait for one event, in real milliseconds. */
const EVENT_LIMIT_MS = 150_000

/** One thing that a client did. */
export interface Line {
  readonly label: string
  readonly kind: 'open' | 'message'
  readonly message?: unknown
  /** Since the first line, in milliseconds of the clock. */
  readonly atMs: number
}

export interface Played {
  readonly recorded: readonly Line[]
  readonly ours: readonly Line[]
  /** Upgrade requests of WebSockets: recorded, ours. */
  readonly upgrades: readonly (readonly [readonly string[], readonly string[]])[]
}

/** What the client under test gets to work with. */
export interface Stage {
  readonly clock: Clock
  readonly server: { readonly host: string; readonly port: number; readonly key: string }
  readonly identity: ReturnType<typeof createDeviceIdentity>
  readonly standIn: StandIn
  /** Forgets everything before this moment: the recording begins here. */
  begin(): void
}

/** A client under test; `run` has it do what the recorded client was made to do. */
export interface Actor {
  readonly role: Role
  /** The recording shows the registration itself. */
  readonly registration: boolean
  run(stage: Stage): Promise<() => Promise<void>>
}

/** Plays the servers' side of a recording against one of our peers and notes what it does. */
export async function play(recording: Recording, actor: Actor, clock: Clock): Promise<Played> {
  const standIn = new StandIn(SERVER_IP, () => clock.now())
  const port = await standIn.listen()
  const identity = createDeviceIdentity({
    id: clients.ids.device,
    uuid: recordedUuid(recording),
    seed: new Uint8Array(32).fill(7),
  })
  const server = { host: SERVER_IP, port, key: clients.keys.serverPublicText }
  const script = scriptFor(actor.role, recording, { registration: actor.registration })
  for (const event of script) if (event.isRefused) standIn.refused.add(event.label)
  const player = new Player(actor.role, recording, script, standIn, {
    relay: `${SERVER_IP}:${port + 1}`,
    identity,
    clock,
  })
  await player.prepare()
  let begun = false
  const begin = () => {
    standIn.forget()
    begun = true
  }
  const stop = await actor.run({ clock, server, identity, standIn, begin })
  if (!begun) throw new Error('the actor did not say when the recording begins')
  try {
    await player.run()
    return player.result()
  } finally {
    await stop()
    await standIn.close()
  }
}

/** The uuid that the recorded device registers with. */
function recordedUuid({ events }: Recording): Uint8Array {
  const registration = events.find(({ hex, from }) => from === 'device' && hex?.startsWith('7a'))
  const uuid = registration?.hex && decodeRendezvous(Buffer.from(registration.hex, 'hex')).registerPk?.uuid
  return uuid || new TextEncoder().encode('0123456789abcdef0123456789abcd01')
}

class Player {
  readonly #recorded: Known
  readonly #ours: Known
  readonly #recordedNames = new Map<string, string>([
    [RECORDED_RELAY, 'the relay'],
    [RECORDED_DEVICE_KEY, "the device's key"],
  ])
  readonly #ourNames = new Map<string, string>()
  readonly #recordedAddresses = new Map<string, string>()
  readonly #ourAddresses = new Map<string, string>()
  #handles = 0
  #other: { port: number; close(): Promise<void> } = { port: 0, close: async () => undefined }

  constructor(
    private readonly role: Role,
    private readonly recording: Recording,
    private readonly script: readonly ScriptEvent[],
    private readonly standIn: StandIn,
    private readonly here: {
      readonly relay: string
      readonly identity: ReturnType<typeof createDeviceIdentity>
      readonly clock: Clock
    },
  ) {
    const isDrawnId = (id: string) => id !== clients.ids.device && /^1\d{9}$/.test(id)
    this.#recorded = { names: this.#recordedNames, addresses: this.#recordedAddresses, uuids: [], isDrawnId }
    this.#ours = { names: this.#ourNames, addresses: this.#ourAddresses, uuids: [], isDrawnId }
    this.#ourNames.set(here.relay, 'the relay')
    this.#ourNames.set(Buffer.from(here.identity.publicKey).toString('hex'), "the device's key")
  }

  get #otherIp(): string {
    return CLIENT_IP[this.role === 'device' ? 'controller' : 'device']
  }

  /** The other peer listens before the client under test can know where. */
  async prepare(): Promise<void> {
    this.#other = await this.standIn.listenFor('out', this.#otherIp)
  }

  async run(): Promise<void> {
    const seen = new Map<string, number>()
    let previousT = this.script[0]?.t ?? 0
    for (const event of this.script) {
      if (event.from === this.role) {
        if (event.kind !== 'open' && event.kind !== 'message') continue
        if (event.isRefused && event.kind === 'message') continue
        const key = `${event.label} ${event.kind}`
        const count = (seen.get(key) ?? 0) + 1
        seen.set(key, count)
        await this.standIn.until(
          () => this.standIn.observed.filter(({ label, kind }) => `${label} ${kind}` === key).length >= count,
          () =>
            `${this.recording.name}: ${key} ${count}; there were ${this.standIn.observed.map((o) => `${o.label} ${o.kind}`)}`,
          EVENT_LIMIT_MS,
        )
        this.#nameOwnEnd(event)
      } else {
        const gapMs = (event.t - previousT) * 1_000
        if (gapMs > 500) await pause(this.here.clock, gapMs)
        await this.#perform(event)
      }
      previousT = event.t
    }
  }

  result(): Played {
    const wanted = this.script.filter(
      ({ from, kind, isRefused }) => from === this.role && (kind === 'open' || (kind === 'message' && !isRefused)),
    )
    const recorded = wanted.map((event): Omit<Line, 'atMs'> & { atMs: number } => ({
      label: event.label,
      kind: event.kind as 'open' | 'message',
      ...(event.kind === 'message' ? { message: normalise(event.hex ?? '', this.#recorded) } : {}),
      atMs: (event.t - (wanted[0]?.t ?? 0)) * 1_000,
    }))
    const labels = new Set(this.script.map(({ label }) => label))
    // What happens on a connection behind the handshake, or on one that the recording does not show, is not compared.
    const counts = new Map<string, number>()
    const ours = this.standIn.observed.filter((observed) => {
      if (!labels.has(observed.label)) return false
      if (observed.kind === 'message' && this.standIn.refused.has(observed.label)) return false
      const key = `${observed.label} ${observed.kind}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      const isPeerConnection = /^(in|out|hbbr)-/.test(observed.label)
      const expected = recorded.filter(({ label, kind }) => `${label} ${kind}` === key).length
      return !isPeerConnection || (counts.get(key) ?? 0) <= expected
    })
    return {
      recorded,
      ours: ours.map((observed: Observed) => ({
        label: observed.label,
        kind: observed.kind,
        ...(observed.hex === undefined ? {} : { message: normalise(observed.hex, this.#ours) }),
        atMs: observed.atMs - (ours[0]?.atMs ?? 0),
      })),
      upgrades: this.script
        .filter(({ kind, upgrade, from }) => kind === 'open' && upgrade && from === this.role)
        .map(({ label, upgrade }) => [
          (upgrade?.request ?? []).map((line, i) => (i === 0 ? line : (line.split(':')[0] ?? ''))),
          this.standIn.peers.get(label)?.head ?? [],
        ]),
    }
  }

  #nameOwnEnd({ conn, label }: ScriptEvent): void {
    const recorded = this.recording.connections[conn]
    const peer = this.standIn.peers.get(label)
    if (!recorded || !peer) return
    const recordedIp = recorded.client === 'device' ? '10.77.1.2' : '10.77.2.2'
    this.#recordedAddresses.set(`${recordedIp}:${recorded.clientPort}`, `the own end of ${label}`)
    this.#ourAddresses.set(
      formatEndpoint({ ip: CLIENT_IP[this.role], port: peer.clientPort }),
      `the own end of ${label}`,
    )
  }

  async #perform(event: ScriptEvent): Promise<void> {
    const { standIn } = this
    switch (event.kind) {
      case 'open':
        if (!event.isRefused) await this.#connectToDevice(event)
        return
      case 'close':
        standIn.peers.get(event.label)?.end()
        return
      case 'message': {
        const secret = this.recording.connections[event.conn]?.keyExchange?.serverEphemeralSecret
        if (secret && event.hex?.startsWith(KEY_EXCHANGE)) {
          const pair = boxKeyPairOf(Buffer.from(secret, 'hex'))
          return standIn.peers.get(event.label)?.offer(Buffer.from(event.hex, 'hex'), pair)
        }
        const payload = this.#translate(event)
        if (event.transport === 'udp') standIn.sendUdp(payload)
        else standIn.peers.get(event.label)?.send(payload)
        return
      }
      default:
        return
    }
  }

  /** The controller comes from the very port that the device was told. */
  async #connectToDevice({ label }: ScriptEvent): Promise<void> {
    const answers = [...this.standIn.peers.values()].filter((peer) => peer.label.startsWith('hbbs-'))
    const port = answers.at(-1)?.clientPort ?? 0
    await this.#other.close()
    const socket = connect({
      host: CLIENT_IP.device,
      port,
      localAddress: this.#otherIp,
      localPort: this.#other.port,
      allowHalfOpen: true,
    })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    this.standIn.adopt(label, socket)
  }

  /** What the recorded server or peer sent, with the addresses, ports and keys of this run. */
  #translate({ hex = '', label, addresses, decoded }: ScriptEvent): Uint8Array {
    if (hex === '' || decoded === null) return Buffer.from(hex, 'hex')
    if (hex.startsWith('1a')) {
      const { id, secretKey } = this.here.identity
      return deviceHello(id, secretKey, createBoxKeyPair().publicKey)
    }
    const message = decodeRendezvous(Buffer.from(hex, 'hex'))
    if (message.testNatResponse) message.testNatResponse.port = this.standIn.peers.get(label)?.clientPort ?? 0
    const push = message.punchHole ?? message.fetchLocalAddr ?? message.requestRelay
    if (push?.socketAddr?.length) push.socketAddr = this.#newHandle(push.socketAddr, addresses?.socket_addr ?? '')
    if (message.punchHoleResponse?.socketAddr?.length) {
      message.punchHoleResponse.socketAddr = mangleAddress({ ip: this.#otherIp, port: this.#other.port }, 0x12345678)
    }
    this.#signAnew(message)
    for (const part of [
      message.punchHole,
      message.fetchLocalAddr,
      message.requestRelay,
      message.punchHoleResponse,
      message.relayResponse,
    ]) {
      if (part?.relayServer === RECORDED_RELAY) part.relayServer = this.here.relay
    }
    return encodeRendezvous(message as object)
  }

  /** The first initiator can be reached at its address; later ones only need another one. */
  #newHandle(recorded: Uint8Array, recordedAddress: string): Uint8Array {
    this.#handles++
    const address = { ip: this.#otherIp, port: this.#handles === 1 ? this.#other.port : 1_000 + this.#handles }
    const handle = mangleAddress(address, 0x23456789 + this.#handles)
    this.#recordedNames.set(Buffer.from(recorded).toString('hex'), `handle ${this.#handles}`)
    this.#ourNames.set(Buffer.from(handle).toString('hex'), `handle ${this.#handles}`)
    this.#recordedAddresses.set(recordedAddress, `initiator ${this.#handles}`)
    this.#ourAddresses.set(formatEndpoint(address), `initiator ${this.#handles}`)
    return handle
  }

  /** The server vouches for the key of this run's device. */
  #signAnew(message: RendezvousMessage): void {
    const secretKey = decodeBase64(clients.keys.serverSecretText) ?? new Uint8Array(0)
    const { id, publicKey } = this.here.identity
    for (const part of [message.punchHoleResponse, message.relayResponse]) {
      if (part?.pk?.length) part.pk = signCombined(encodeIdPk(id, publicKey), secretKey)
    }
  }
}
