import { createHash, randomBytes } from 'node:crypto'
import type { Client } from './inbox.ts'
import { type Endpoint, StreamClient } from './tcp-client.ts'
import type { WsOpcode } from './transcript.ts'

const OPCODES: Record<WsOpcode, number> = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

export interface WsFrame {
  readonly opcode: WsOpcode
  readonly data: Uint8Array
}

/** A WebSocket client that answers nothing by itself and shows every frame: what a library would hide is tested. */
export class WsClient extends StreamClient implements Client {
  /** Status line and headers of the server's answer, without the accept value, which is checked. */
  upgradeAnswer: string[] = []
  readonly #path: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #host: string

  constructor(from: string, server: Endpoint, path = '/', headers: Readonly<Record<string, string>> = {}) {
    super(from, server)
    this.#path = path
    this.#headers = headers
    this.#host = server.ip.includes(':') ? `[${server.ip}]:${server.port}` : `${server.ip}:${server.port}`
  }

  override async open(): Promise<void> {
    await super.open()
    const key = randomBytes(16).toString('base64')
    const lines = [
      `GET ${this.#path} HTTP/1.1`,
      `Host: ${this.#host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${key}`,
      ...Object.entries(this.#headers).map(([name, value]) => `${name}: ${value}`),
    ]
    this.sendBytes(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`))
    const head = await this.take(headLength, 5000)
    if (!head) throw new Error(`no answer to the upgrade: ${this.pending() ?? 'nothing came'}`)
    const accept = createHash('sha1')
      .update(key + ACCEPT_SUFFIX)
      .digest('base64')
    this.upgradeAnswer = Buffer.from(head).toString('latin1').trim().split('\r\n')
    const isAccepted = this.upgradeAnswer.some((line) => line.toLowerCase().endsWith(accept.toLowerCase()))
    if (!isAccepted) throw new Error(`the upgrade was not accepted: ${this.upgradeAnswer.join(' | ')}`)
  }

  send(payload: Uint8Array): void {
    this.sendFrame('binary', payload)
  }

  sendFrame(opcode: WsOpcode, data: Uint8Array, isFinal = true): void {
    const mask = randomBytes(4)
    const masked = Buffer.from(data)
    for (let i = 0; i < masked.length; i++) masked[i] = (masked[i] as number) ^ (mask[i % 4] as number)
    const header = Buffer.alloc(14)
    header[0] = (isFinal ? 0x80 : 0) | OPCODES[opcode]
    let length = 2
    if (data.length < 126) header[1] = 0x80 | data.length
    else if (data.length < 0x10000) {
      header[1] = 0x80 | 126
      length = header.writeUInt16BE(data.length, 2)
    } else {
      header[1] = 0x80 | 127
      length = header.writeBigUInt64BE(BigInt(data.length), 2)
    }
    mask.copy(header, length)
    this.sendBytes(Buffer.concat([header.subarray(0, length + 4), masked]))
  }

  async takeFrame(timeoutMs: number): Promise<WsFrame | undefined> {
    const frame = await this.take(frameLength, timeoutMs)
    return frame && parseFrame(frame)
  }

  /** The next frame, if it is a binary message in one piece; control frames are only for those who ask for them. */
  async takeMessage(timeoutMs: number): Promise<Uint8Array | undefined> {
    const isBinary = (received: Uint8Array) => (received[0] === 0x82 ? frameLength(received) : undefined)
    const frame = await this.take(isBinary, timeoutMs)
    return frame && parseFrame(frame).data
  }
}

function headLength(received: Uint8Array): number | undefined {
  const end = Buffer.from(received).indexOf('\r\n\r\n')
  return end < 0 ? undefined : end + 4
}

/** Length of the header and of the payload, once the header is there; servers do not mask. */
function measure(received: Uint8Array): { header: number; payload: number } | undefined {
  const bytes = Buffer.from(received.buffer, received.byteOffset, received.length)
  if (bytes.length < 2) return undefined
  const short = (bytes[1] as number) & 0x7f
  if (short < 126) return { header: 2, payload: short }
  const header = short === 126 ? 4 : 10
  if (bytes.length < header) return undefined
  return { header, payload: short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)) }
}

function frameLength(received: Uint8Array): number | undefined {
  const size = measure(received)
  if (!size || received.length < size.header + size.payload) return undefined
  return size.header + size.payload
}

function parseFrame(frame: Uint8Array): WsFrame {
  const number = (frame[0] as number) & 0x0f
  const name = Object.entries(OPCODES).find(([, value]) => value === number)?.[0]
  return { opcode: (name ?? 'continuation') as WsOpcode, data: frame.subarray(measure(frame)?.header) }
}
