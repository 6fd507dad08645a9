import { decodeRendezvous, encodeRendezvous, PUBLIC_KEY_BYTES } from '@tryst/protocol'

const ID_DIGITS = 9
const FIRST_ID = 100_000_000
const MARK = '_'.repeat(ID_DIGITS)
const UUID_REST = 'f'.repeat(32 - ID_DIGITS)

/** What a node says to a device, as far as a device cares. */
export type DeviceNews = 'accepted' | 'key-wanted' | 'registered' | 'refused' | 'punch'

export function deviceId(device: number): string {
  return `${FIRST_ID + device}`
}

/** Messages of devices, made by writing an id into ready ones. What is returned is overwritten by the next. */
export class DeviceMessages {
  readonly #heartbeat = new Template(encodeRendezvous({ registerPeer: { id: MARK, serial: 3 } }))
  readonly #registration = new Template(
    encodeRendezvous({
      registerPk: {
        id: MARK,
        uuid: Buffer.from(MARK + UUID_REST),
        pk: Buffer.from(MARK.padEnd(PUBLIC_KEY_BYTES, 'k')),
      },
    }),
  )
  /** A server sends the same few answers again and again. */
  readonly #known = new WeakMap<Uint8Array, DeviceNews>()

  heartbeat(device: number): Buffer {
    return this.#heartbeat.filled(FIRST_ID + device)
  }

  registration(device: number): Buffer {
    return this.#registration.filled(FIRST_ID + device)
  }

  read(payload: Uint8Array): DeviceNews {
    const known = this.#known.get(payload)
    if (known) return known
    const news = read(payload)
    this.#known.set(payload, news)
    return news
  }
}

function read(payload: Uint8Array): DeviceNews {
  const message = decodeRendezvous(payload)
  if (message.registerPeerResponse) return message.registerPeerResponse.requestPk ? 'key-wanted' : 'accepted'
  if (message.registerPkResponse) return message.registerPkResponse.result ? 'refused' : 'registered'
  return 'punch'
}

/** A message with the id at one or more places. */
class Template {
  readonly #bytes: Buffer
  readonly #places: number[] = []

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes)
    for (let at = this.#bytes.indexOf(MARK); at >= 0; at = this.#bytes.indexOf(MARK, at + 1)) this.#places.push(at)
  }

  filled(id: number): Buffer {
    for (const place of this.#places) {
      let rest = id
      for (let digit = ID_DIGITS - 1; digit >= 0; digit--) {
        this.#bytes[place + digit] = 48 + (rest % 10)
        rest = Math.floor(rest / 10)
      }
    }
    return this.#bytes
  }
}
