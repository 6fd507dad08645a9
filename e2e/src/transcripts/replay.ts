import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { askConsole, isRecordedAnswer } from './console-client.ts'
import { describeFields, describeStep, describeUnread, describeUpgrade, expectedFields, nameOf } from './describe.ts'
import type { Client } from './inbox.ts'
import { KnownDevices } from './known-devices.ts'
import { decodeFields, describeAddress, encodeWith, mangleAgain, mangleNow, parseEndpoint, toHex } from './messages.ts'
import type { Network } from './network.ts'
import { clientFor } from './scripted-client.ts'
import { StreamClient } from './tcp-client.ts'
import type { ConsoleStep, Difference, Fields, Step, StepOf, Transcript, Varying } from './transcript.ts'
import { UdpClient } from './udp-client.ts'
import { WsClient } from './ws-client.ts'

const ANSWER_WITHIN_MS = 3000
/** How far from the recorded time a connection may be closed; idle relay pairs are looked at every 3 s only. */
const CLOSE_TOLERANCE_MS = 1500
const IDLE_PAIR_TOLERANCE_MS = 3500
/** RegisterPkResponse: OK. */
const REGISTERED = '820100'
const PUSHES = ['punch_hole', 'fetch_local_addr', 'request_relay']

/** Servers that can be started anew; a test of the replay itself has others. */
export interface Restartable {
  start(): Promise<void>
  stop(): Promise<void>
}

/** Plays one transcript and notes where the servers do something else. */
export class Replay {
  readonly differences: Difference[] = []
  readonly #group: string
  readonly #transcript: Transcript
  readonly #servers: Restartable
  readonly #network: Network
  readonly #devices: KnownDevices
  readonly #clients = new Map<string, Client>()
  /** What devices were told as the address of an initiator, by device address and initiator. */
  readonly #handles = new Map<string, string>()
  #stepIndex = 0

  /** @param devices those that earlier transcripts of the group have registered */
  constructor(
    group: string,
    transcript: Transcript,
    servers: Restartable,
    network: Network,
    devices: KnownDevices = new KnownDevices(),
  ) {
    this.#devices = devices
    this.#group = group
    this.#transcript = transcript
    this.#servers = servers
    this.#network = network
  }

  async run(): Promise<Difference[]> {
    try {
      for (const [index, step] of this.#transcript.steps.entries()) {
        this.#stepIndex = index
        if (!this.#network.canTake(step)) continue
        try {
          await this.#play(step)
        } catch (error) {
          this.#differs(describeStep(step), `failed: ${error instanceof Error ? error.message : error}`)
        }
      }
      await this.#expectNothingElse()
    } finally {
      for (const client of this.#clients.values()) client.close()
    }
    return this.differences
  }

  async #play(step: Step): Promise<void> {
    if ('open' in step) return this.#open(step.open)
    if ('send' in step) return this.#send(step)
    if ('sendBytes' in step) return this.#sendBytes(step)
    if ('sendWs' in step) {
      const data = Buffer.from(step.text ?? step.hex ?? '', step.text === undefined ? 'hex' : 'utf8')
      return this.#webSocket(step.sendWs).sendFrame(step.opcode, data, step.final !== false)
    }
    if ('expect' in step) return this.#expect(step)
    if ('expectBytes' in step) return this.#expectBytes(step)
    if ('expectWs' in step) return this.#expectWs(step)
    if ('expectClosed' in step) return this.#expectClosed(step)
    if ('expectNothing' in step) return this.#expectNothing(step)
    if ('console' in step) return this.#console(step)
    if ('wait' in step) return sleep(step.wait)
    if ('shutdownWriting' in step) return this.#stream(step.shutdownWriting).shutdownWriting()
    if ('close' in step) return this.#client(step.close).close()
    if ('reset' in step) return this.#stream(step.reset).reset()
    if ('restart' in step) return this.#restart()
    if ('bothWays' in step) return this.#bothWays(step)
  }

  async #open(name: string): Promise<void> {
    const scripted = this.#scripted(name)
    const server = { ip: scripted.to, port: this.#network.ports[scripted.port] }
    const client = clientFor(scripted, server)
    this.#clients.set(name, client)
    await client.open()
    const recorded = this.#transcript.upgradeAnswer
    if (recorded && client instanceof WsClient) {
      const [answer, found] = [recorded, client.upgradeAnswer].map((lines) => describeUpgrade(lines))
      if (answer !== found) this.#differs(`${answer}`, `${found}`)
    }
  }

  #send(step: StepOf<'send'>): void {
    const client = this.#client(step.send)
    const payload = this.#payloadOf(step)
    this.#devices.sent(client, payload)
    client.send(payload)
  }

  #payloadOf(step: StepOf<'send'>): Uint8Array {
    const [substituted] = Object.entries(step.substitute ?? {})
    if (!substituted) return Buffer.from(step.hex, 'hex')
    const [path, varying] = substituted
    if (!('mangledAddressOf' in varying)) throw new Error(`cannot fill in ${path}`)
    const device = this.#scripted(step.send).ip
    const handle = this.#handles.get(`${device} ${varying.mangledAddressOf}`)
    const { ip, port } = this.#client(varying.mangledAddressOf).address
    // Devices give the handle back as they got it, but encode the address in LocalAddr anew.
    const bytes = !handle
      ? mangleNow(ip, port)
      : path.startsWith('local_addr.')
        ? mangleAgain(handle)
        : Buffer.from(handle, 'hex')
    return encodeWith(step.hex, path, bytes, step.innerSuffix)
  }

  #sendBytes(step: StepOf<'sendBytes'>): void {
    const { frameOf } = step
    if (!frameOf) return this.#stream(step.sendBytes).sendBytes(Buffer.from(step.hex ?? '', 'hex'))
    this.#client(step.sendBytes).send(Buffer.concat([Buffer.from(frameOf.hex, 'hex'), Buffer.alloc(frameOf.zeros)]))
  }

  async #expect(step: StepOf<'expect'>): Promise<void> {
    const client = this.#client(step.expect)
    const received = await client.takeMessage(ANSWER_WITHIN_MS)
    if (!received) return this.#differs(describeStep(step), await this.#whatInstead(client))
    if (!step.fields) {
      const hex = toHex(received)
      if (hex !== step.hex) this.#differs(`${step.expect} receives ${step.hex}`, `${step.expect} receives ${hex}`)
      return
    }
    const found = decodeFields(received)
    if (!found) return this.#differs(describeStep(step), `${step.expect} receives ${toHex(received)}`)
    this.#rememberHandle(step, found)
    const expected = expectedFields(step)
    this.#devices.received(client, found)
    await this.#sendKey(client, expected, found)
    const comparable = this.#withNames(found, step.varies ?? {})
    if (!isDeepStrictEqual(expected, comparable)) {
      this.#differs(
        `${step.expect} receives ${describeFields(expected)}`,
        `${step.expect} receives ${describeFields(comparable)}`,
      )
    }
  }

  /** So that the device is where the transcript has it from here on. */
  async #sendKey(client: Client, expected: Fields, found: Fields): Promise<void> {
    const key = this.#devices.keyFor(client, expected, found)
    if (!key) return
    client.send(key)
    const answer = await client.takeMessage(ANSWER_WITHIN_MS)
    if (!answer || toHex(answer) !== REGISTERED) throw new Error('the device has sent its key in vain')
  }

  #rememberHandle(step: StepOf<'expect'>, found: Fields): void {
    for (const [path, varying] of Object.entries(step.varies ?? {})) {
      const [member, field] = path.split('.') as [string, string]
      const handle = (found[member] as Fields | undefined)?.[field]
      if (!PUSHES.includes(member) || !('mangledAddressOf' in varying) || typeof handle !== 'string') continue
      this.#handles.set(`${this.#scripted(step.expect).ip} ${varying.mangledAddressOf}`, handle)
    }
  }

  /** What was received, with a name instead of each varying field that is right. */
  #withNames(found: Fields, varies: Record<string, Varying>): Fields {
    const fields = structuredClone(found)
    for (const [path, varying] of Object.entries(varies)) {
      const [member, field] = path.split('.') as [string, string]
      const inner = fields[member] as Fields | undefined
      const value = inner?.[field]
      if (!inner || value === undefined) continue
      if ('portOf' in varying) {
        if (value === this.#client(varying.portOf).address.port) inner[field] = nameOf(varying)
      } else {
        const isClient = 'mangledAddressOf' in varying
        const address = isClient ? this.#client(varying.mangledAddressOf).address : parseEndpoint(varying.mangled)
        inner[field] = describeAddress(String(value), address, isClient ? varying.mangledAddressOf : varying.mangled)
      }
    }
    return fields
  }

  async #expectBytes(step: StepOf<'expectBytes'>): Promise<void> {
    const client = this.#stream(step.expectBytes)
    const received = await client.takeBytes(step.hex.length / 2, ANSWER_WITHIN_MS)
    if (!received) return this.#differs(describeStep(step), await this.#whatInstead(client))
    const hex = toHex(received)
    if (hex !== step.hex) this.#differs(describeStep(step), `${step.expectBytes} receives bytes ${hex}`)
  }

  async #expectWs(step: StepOf<'expectWs'>): Promise<void> {
    const client = this.#webSocket(step.expectWs)
    const frame = await client.takeFrame(ANSWER_WITHIN_MS)
    const found = frame
      ? `${step.expectWs} receives ${frame.opcode} ${toHex(frame.data)}`
      : await this.#whatInstead(client)
    if (found !== describeStep(step)) this.#differs(describeStep(step), found)
  }

  async #expectClosed(step: StepOf<'expectClosed'>): Promise<void> {
    const client = this.#client(step.expectClosed)
    const recordedMs = step.afterMs ?? 0
    const isIdlePair = this.#transcript.name.includes('idle pair')
    const toleranceMs = isIdlePair ? IDLE_PAIR_TOLERANCE_MS : CLOSE_TOLERANCE_MS
    const start = performance.now()
    const ending = await client.ended(recordedMs + Math.max(ANSWER_WITHIN_MS, toleranceMs))
    const tookMs = performance.now() - start
    const expected = describeStep(step)
    const unread = await describeUnread(step.expectClosed, client)
    if (unread) this.#differs(expected, unread)
    else if (!ending) this.#differs(expected, `${step.expectClosed} stays open`)
    else if (ending !== step.how) this.#differs(expected, `${step.expectClosed} is reset`)
    else if (recordedMs > 0 && Math.abs(tookMs - recordedMs) > toleranceMs) {
      this.#differs(expected, `${step.expectClosed} is closed after ${Math.round(tookMs / 1000)} s`)
    }
    if (ending) client.close()
  }

  async #expectNothing(step: StepOf<'expectNothing'>): Promise<void> {
    const client = this.#client(step.expectNothing)
    const isUdp = client instanceof UdpClient
    const ending = isUdp ? void (await sleep(step.forMs)) : await client.ended(step.forMs)
    const unread = await describeUnread(step.expectNothing, client)
    if (unread) this.#differs(describeStep(step), unread)
    else if (step.stillOpen && ending) this.#differs(describeStep(step), `${step.expectNothing} is closed`)
  }

  async #console(step: ConsoleStep): Promise<void> {
    const from = step.from ?? '127.0.0.1'
    const server = { ip: from.includes(':') ? '::1' : '127.0.0.1', port: this.#network.ports[step.console] }
    const answer = await askConsole(step, from, server)
    if (!isRecordedAnswer(step, answer)) {
      this.#differs(describeStep(step), `the console answers ${JSON.stringify(answer)}`)
    }
  }

  async #restart(): Promise<void> {
    await this.#servers.stop()
    await this.#servers.start()
  }

  async #bothWays({ bothWays }: StepOf<'bothWays'>): Promise<void> {
    const names = [...this.#clients.keys()]
    const payload = Uint8Array.from({ length: bothWays.length }, (_, i) => (i * 7) % 256)
    for (const [from, to] of [names, names.toReversed()] as [string, string][]) {
      this.#client(from).send(payload)
      const received = await this.#client(to).takeMessage(ANSWER_WITHIN_MS)
      const hash = received && createHash('sha256').update(received).digest('hex')
      if (hash !== bothWays.sha256) {
        const found = received
          ? `${to} receives ${received.length} other bytes`
          : await this.#whatInstead(this.#client(to))
        this.#differs(`${to} receives ${bothWays.length} bytes of ${from}`, found)
      }
    }
  }

  /** What a client has got instead of what was expected. */
  async #whatInstead(client: Client | StreamClient): Promise<string> {
    const name = [...this.#clients].find(([, each]) => each === client)?.[0] ?? ''
    const unread = await describeUnread(name, client)
    if (unread) return unread
    const ending = client instanceof UdpClient ? undefined : await client.ended(0)
    return ending ? `${name} is ${ending === 'end' ? 'closed' : 'reset'}` : `${name} receives nothing`
  }

  /** What nobody asked for has been left in the inboxes. */
  async #expectNothingElse(): Promise<void> {
    this.#stepIndex = this.#transcript.steps.length
    for (const [name, client] of this.#clients) {
      const unread = await describeUnread(name, client)
      if (unread) this.#differs(`${name} receives nothing else`, unread)
    }
  }

  #differs(reference: string, found: string): void {
    const { name } = this.#transcript
    this.differences.push({ group: this.#group, transcript: name, step: this.#stepIndex, reference, found })
  }

  #scripted(name: string) {
    const scripted = this.#transcript.clients?.[name]
    if (!scripted) throw new Error(`the transcript has no client ${name}`)
    return this.#network.place(scripted)
  }

  #client(name: string): Client {
    const client = this.#clients.get(name)
    if (!client) throw new Error(`${name} was never opened`)
    return client
  }

  #stream(name: string): StreamClient {
    const client = this.#client(name)
    if (!(client instanceof StreamClient)) throw new Error(`${name} has no stream`)
    return client
  }

  #webSocket(name: string): WsClient {
    const client = this.#client(name)
    if (!(client instanceof WsClient)) throw new Error(`${name} has no WebSocket`)
    return client
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
