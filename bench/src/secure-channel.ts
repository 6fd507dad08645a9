import { decodeBase64, encodeFrame } from '@tryst/protocol'
import { answerKeyExchange, createBoxKeyPair, createSessionKey } from '@tryst/protocol/secure-tcp'
import { scanFrames } from './server-answer.ts'

/** A server's key as bytes, by its text: decoded once. */
const keys = new Map<string, Uint8Array>()

/** Frames of a client that has taken the server's offer of encryption. */
export interface SecureChannel {
  readonly answer: Uint8Array
  /** A frame, as it travels. */
  seal(frame: Buffer): Uint8Array
  /** Frames, as they were before they travelled. Nothing where one does not open. */
  open(chunk: Buffer): Buffer
}

/** Undefined: the frame is no offer of this server. */
export function takeOffer(frame: Buffer, keyText: string): SecureChannel | undefined {
  const key = keys.get(keyText) ?? decodeBase64(keyText) ?? new Uint8Array(0)
  keys.set(keyText, key)
  const agreed = answerKeyExchange(payloadOf(frame), key, createBoxKeyPair(), createSessionKey())
  if (!agreed) return undefined
  const { answer, records } = agreed
  return {
    answer: encodeFrame(answer),
    seal: (frame) => encodeFrame(records.seal(payloadOf(frame))),
    open: (chunk) => {
      const plain: Uint8Array[] = []
      scanFrames(chunk, (payload) => plain.push(encodeFrame(records.open(payload))))
      return Buffer.concat(plain)
    },
  }
}

function payloadOf(frame: Buffer): Uint8Array {
  let found: Uint8Array = new Uint8Array(0)
  scanFrames(frame, (payload) => {
    found = payload
  })
  return found
}
