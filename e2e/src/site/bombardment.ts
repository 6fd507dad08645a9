import { randomUUID } from 'node:crypto'
import { decodeBase64, encodeRendezvous } from '@tryst/protocol'
import { answerKeyExchange, createBoxKeyPair, createSessionKey } from '@tryst/protocol/secure-tcp'
import { StreamClient } from '../transcripts/tcp-client.ts'
import { WsClient } from '../transcripts/ws-client.ts'
import type { SitePorts } from './free-ports.ts'
import { BROKEN_UPGRADES, BROKEN_WEB_SOCKET_FRAMES, garbagePayloads, garbageStreams, type Truths } from './garbage.ts'
import { eachOf } from './pool.ts'
import { RawConnection } from './raw-connection.ts'
import { RawDevice } from './raw-device.ts'
import type { Site } from './site.ts'

/** Where garbage comes from: addresses of its own, so that its limits are not those of the clients that follow. */
const SOURCE = '127.0.66.1'
const AT_ONCE = 20
const ENDED_WITHIN_MS = 10_000

type Port = keyof SitePorts

export interface Bombardment {
  readonly name: string
  /** Sends garbage of this seed; resolves when every connection that carried some has been ended by the server. */
  send(site: Site, seed: number, count: number): Promise<void>
}

/** Ends our side and waits for the server's. */
async function finish(client: StreamClient, what: string): Promise<void> {
  client.shutdownWriting()
  const ending = await client.ended(ENDED_WITHIN_MS)
  client.close()
  if (!ending) throw new Error(`the server keeps a connection open that sent ${what}`)
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(0, 100)).toString('hex')

async function truthsOf(site: Site): Promise<Truths> {
  return { id: (await RawDevice.online(site, { ip: '127.0.67.1' })).id, key: site.key }
}

const freshTcp = (port: Port): Bombardment => ({
  name: `TCP ${port}, fresh connections`,
  async send(site, seed, count) {
    await eachOf(garbageStreams(seed, count, await truthsOf(site)), AT_ONCE, async (bytes) => {
      const client = new StreamClient(SOURCE, { ip: site.server.host, port: site.ports[port] })
      await client.open()
      client.sendBytes(bytes)
      await finish(client, hex(bytes))
    })
  },
})

const freshWebSocket = (port: Port): Bombardment => ({
  name: `WebSocket ${port}, fresh connections`,
  async send(site, seed, count) {
    const open = async () => {
      const client = new WsClient(SOURCE, { ip: site.server.host, port: site.ports[port] })
      await client.open()
      return client
    }
    await eachOf(garbagePayloads(seed, count, await truthsOf(site)), AT_ONCE, async (payload) => {
      const client = await open()
      client.send(payload)
      await finish(client, hex(payload))
    })
    await eachOf(BROKEN_WEB_SOCKET_FRAMES, AT_ONCE, async (bytes) => {
      const client = await open()
      client.sendBytes(bytes)
      await finish(client, hex(bytes))
    })
    // A message in pieces without end.
    const client = await open()
    for (let i = 0; i < 100; i++) client.sendFrame(i === 0 ? 'binary' : 'continuation', new Uint8Array(4_000), false)
    await finish(client, 'a message without end')
  },
})

const upgrades = (port: Port): Bombardment => ({
  name: `WebSocket ${port}, broken upgrades`,
  async send(site, seed, count) {
    const heads = BROKEN_UPGRADES.map((text) => Buffer.from(text, 'latin1'))
    const streams = garbageStreams(seed, count, await truthsOf(site))
    await eachOf([...heads, ...streams], AT_ONCE, async (bytes) => {
      const client = new StreamClient(SOURCE, { ip: site.server.host, port: site.ports[port] })
      await client.open()
      client.sendBytes(bytes)
      await finish(client, bytes.toString())
    })
  },
})

const datagrams: Bombardment = {
  name: 'UDP main, strangers and a registered device',
  async send(site, seed, count) {
    const registered = await RawDevice.online(site, { ip: '127.0.67.2' })
    const stranger = await RawDevice.open(site, { ip: SOURCE })
    for (const payload of garbagePayloads(seed, count, { id: registered.id, key: site.key })) {
      stranger.sendBytes(payload)
      registered.sendBytes(payload)
    }
    stranger.sendBytes(new Uint8Array(60_000))
    // Datagrams are taken in order: when this is answered, all of them have been.
    const last = await RawDevice.open(site, { ip: '127.0.67.3' })
    await last.heartbeat()
    for (const each of [registered, stranger, last]) each.close()
  },
}

const waitingInitiators = (port: 'main' | 'webSocket'): Bombardment => ({
  name: `${port}, waiting initiators`,
  async send(site, seed, count) {
    const device = await RawDevice.online(site, { ip: '127.0.67.4' })
    for (const payload of garbagePayloads(seed, count, { id: device.id, key: site.key })) {
      const initiator = await RawConnection.open(site, port, { from: SOURCE })
      initiator.send({ punchHoleRequest: { id: device.id, licenceKey: site.key, natType: 2 } })
      await device.next()
      initiator.sendPayload(payload)
      await finish(initiator.client, hex(payload))
    }
    device.close()
  },
})

/** Connections that the server has offered a key: garbage comes instead of the answer, behind it, or as a record. */
const secureTcp: Bombardment = {
  name: 'main, connections that were offered encryption',
  async send(site, seed, count) {
    const serverKey = decodeBase64(site.key) ?? new Uint8Array(0)
    await eachOf(garbagePayloads(seed, count, await truthsOf(site)), AT_ONCE, async (payload) => {
      await eachOf(['instead', 'behind', 'as a record'] as const, AT_ONCE, async (where) => {
        const connection = await RawConnection.open(site, 'main', { from: SOURCE })
        const offer = await connection.nextPayload()
        const agreed = answerKeyExchange(offer, serverKey, createBoxKeyPair(), createSessionKey())
        if (!agreed) throw new Error(`the server said something else before anything: ${hex(offer)}`)
        if (where !== 'instead') connection.sendPayload(agreed.answer)
        connection.sendPayload(where === 'as a record' ? agreed.records.sealAnyLength(payload) : payload)
        await finish(connection.client, `${hex(payload)} ${where}`)
      })
    })
  },
}

const RELAY_STATES = ['waiting', 'paired'] as const
/** A half that waits is read no further than 64 KiB, so that one that sent more is seen to leave only when its time is over. */
const EARLY_BYTES = 48 * 1024

const halves = (port: 'relay' | 'relayWebSocket', partner: 'relay' | 'relayWebSocket'): Bombardment => ({
  name: `${port}, halves that wait and halves paired with ${partner}`,
  async send(site, seed, count) {
    const truths = await truthsOf(site)
    const bytes = port === 'relay' ? garbageStreams(seed, count, truths) : garbagePayloads(seed, count, truths)
    await eachOf(bytes, AT_ONCE, async (whole) => {
      const each = whole.subarray(0, EARLY_BYTES)
      for (const state of RELAY_STATES) {
        const request = encodeRendezvous({ requestRelay: { uuid: randomUUID(), licenceKey: site.key } })
        const half = await RawConnection.open(site, port, { from: SOURCE })
        half.sendPayload(request)
        const other = state === 'paired' ? await RawConnection.open(site, partner, { from: SOURCE }) : undefined
        other?.sendPayload(request)
        if (half.client instanceof WsClient) half.client.send(each)
        else half.client.sendBytes(each)
        await finish(half.client, hex(each))
        if (other) await finish(other.client, `nothing, but its partner ${hex(each)}`)
      }
    })
    if (port === 'relayWebSocket') await brokenFrames(site, partner)
  },
})

async function brokenFrames(site: Site, partner: 'relay' | 'relayWebSocket'): Promise<void> {
  await eachOf(BROKEN_WEB_SOCKET_FRAMES, AT_ONCE, async (bytes) => {
    const request = encodeRendezvous({ requestRelay: { uuid: randomUUID(), licenceKey: site.key } })
    const half = await RawConnection.open(site, 'relayWebSocket', { from: SOURCE })
    const other = await RawConnection.open(site, partner, { from: SOURCE })
    half.sendPayload(request)
    other.sendPayload(request)
    half.client.sendBytes(bytes)
    await finish(half.client, hex(bytes))
    await finish(other.client, `nothing, but its partner ${hex(bytes)}`)
  })
}

/** Every port and transport, in every state that a connection can be in. */
export const BOMBARDMENTS: readonly Bombardment[] = [
  datagrams,
  ...(['main', 'natTest', 'relay'] as const).map(freshTcp),
  ...(['webSocket', 'relayWebSocket'] as const).flatMap((port) => [upgrades(port), freshWebSocket(port)]),
  waitingInitiators('main'),
  waitingInitiators('webSocket'),
  secureTcp,
  halves('relay', 'relay'),
  halves('relay', 'relayWebSocket'),
  halves('relayWebSocket', 'relay'),
  halves('relayWebSocket', 'relayWebSocket'),
]
