import { createCipheriv, createHash, randomBytes } from 'node:crypto'

/** One end of a session, controller's or device's. */
export interface DataEnd {
  onData: ((bytes: Uint8Array) => void | Promise<void>) | undefined
  write(bytes: Uint8Array): Promise<void>
}

export interface Transfer {
  readonly sent: string
  readonly received: string
}

const CHUNK_BYTES = 1 << 20

/** Moves that many random bytes in each direction at once. Gives the SHA-256 of what left and of what arrived. */
export async function exchange(
  controller: DataEnd,
  device: DataEnd,
  bytes: number,
): Promise<{ readonly forth: Transfer; readonly back: Transfer }> {
  const [controllerSaw, deviceSaw] = await Promise.all([exchangeAt(controller, bytes), exchangeAt(device, bytes)])
  return {
    forth: { sent: controllerSaw.sent, received: deviceSaw.received },
    back: { sent: deviceSaw.sent, received: controllerSaw.received },
  }
}

/** One end's part of it: sends and receives that many bytes. */
export async function exchangeAt(end: DataEnd, bytes: number): Promise<Transfer> {
  const received = receive(end, bytes)
  return { sent: await send(end, bytes), received: await received }
}

async function send(from: DataEnd, bytes: number): Promise<string> {
  const random = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16))
  const hash = createHash('sha256')
  const zeros = Buffer.alloc(CHUNK_BYTES)
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const chunk = random.update(zeros.subarray(0, Math.min(left, CHUNK_BYTES)))
    hash.update(chunk)
    await from.write(chunk)
  }
  return hash.digest('hex')
}

function receive(at: DataEnd, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  let left = bytes
  const { promise, resolve } = Promise.withResolvers<string>()
  at.onData = (chunk) => {
    hash.update(chunk)
    left -= chunk.length
    if (left <= 0) resolve(hash.digest('hex'))
  }
  return promise
}
