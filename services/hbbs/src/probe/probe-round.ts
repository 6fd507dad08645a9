import { Controller, type ControllerSession, Device, type DeviceIdentity, echo } from '@tryst/client'

/** What a device registers over, and what its sessions go over. */
export const PROBE_TRANSPORTS = ['udp', 'tcp', 'websocket'] as const
export type ProbeTransport = (typeof PROBE_TRANSPORTS)[number]

/** `punch`: a direct session; those in WebSocket mode have none. */
export const PROBE_STEPS = ['register', 'punch', 'relay', 'echo'] as const
export type ProbeStep = (typeof PROBE_STEPS)[number]

/** What is tried, and as whom. */
export interface ProbeTarget {
  readonly host: string
  readonly port: number
  /** Undefined: controllers need none. */
  readonly key: string | undefined
  /** Instead of the relay that clients are told. */
  readonly relayServer: string | undefined
  /** The server vouches for its devices. */
  readonly signs: boolean
  /** Every session is relayed: there is no direct one to try. */
  readonly alwaysRelays: boolean
  readonly identities: Readonly<Record<ProbeTransport, DeviceIdentity>>
}

/** What came of one transport. */
export interface ProbeReport {
  readonly transport: ProbeTransport
  /** How long each step took that succeeded, in ms; those that were tried and failed: `failed`. */
  readonly steps: { readonly [Step in ProbeStep]?: number | 'failed' }
  /** Of the first step that failed. */
  readonly error?: string
}

const PASSWORD = 'probe'
const LIMIT_MS = 15_000
const ECHO_BYTES = 64 * 1024

/** Registers a device and reaches it, as clients of this transport do. */
export async function probeTransport(transport: ProbeTransport, target: ProbeTarget): Promise<ProbeReport> {
  const isWebSocket = transport === 'websocket'
  const { host, port, key, relayServer } = target
  const server = { host, port, key, relayServer }
  const clients = { server, transport: isWebSocket ? 'websocket' : 'tcp' } as const
  const device = new Device({
    ...clients,
    registration: transport === 'udp' ? 'udp' : 'connection',
    identity: target.identities[transport],
    password: PASSWORD,
    natType: isWebSocket ? 'symmetric' : 'asymmetric',
    onSession: echo,
  })
  // Nobody is made to have more and more devices.
  const isTaken = new Promise<never>((_, reject) => {
    device.once('idChanged', () => reject(new Error('its ID is that of another device')))
  })
  isTaken.catch(() => {})
  const controller = new Controller(clients)
  const steps: Partial<Record<ProbeStep, number | 'failed'>> = {}
  let error: string | undefined
  const step = async <Result>(name: ProbeStep, run: () => Promise<Result>): Promise<Result | undefined> => {
    const startedMs = performance.now()
    try {
      const result = await Promise.race([run(), isTaken])
      steps[name] = Math.round(performance.now() - startedMs)
      return result
    } catch (reason) {
      steps[name] = 'failed'
      error ??= `${name}: ${(reason as Error).message}`
      return undefined
    }
  }
  const connect = (forceRelay: boolean) =>
    controller.connect(device.id, {
      ...{ password: PASSWORD, forceRelay, signal: AbortSignal.timeout(LIMIT_MS) },
      unencrypted: target.signs ? 'refuse' : 'accept',
    })
  try {
    const registered = await step('register', async () => {
      await device.start()
      return device.online(LIMIT_MS)
    })
    if (!registered) return { transport, steps, ...(error !== undefined && { error }) }
    if (!isWebSocket && !target.alwaysRelays)
      await step('punch', async () => {
        const session = await connect(false)
        await session.close()
        if (session.path !== 'direct') throw new Error('no direct session came about')
      })
    const session = await step('relay', () => connect(true))
    if (session) {
      await step('echo', () => echoed(session))
      await session.close()
    }
    return { transport, steps, ...(error !== undefined && { error }) }
  } finally {
    await controller.close()
    await device.close()
  }
}

async function echoed(session: ControllerSession): Promise<void> {
  let back = 0
  const isBack = new Promise<void>((resolve) => {
    session.onData = (bytes) => {
      back += bytes.length
      if (back >= ECHO_BYTES) resolve()
    }
  })
  const isLate = new Promise<never>((_, reject) => {
    AbortSignal.timeout(LIMIT_MS).addEventListener('abort', () => reject(new Error('nothing came back')))
  })
  const hasEnded = session.ended.then(() => Promise.reject(new Error('the session ended')))
  await session.write(new Uint8Array(ECHO_BYTES))
  await Promise.race([isBack, isLate, hasEnded])
}
