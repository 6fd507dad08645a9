import { describe, expect, it } from '@jest/globals'
import { ProtocolError } from '../src/errors.ts'
import { encodeFrame } from '../src/frame.ts'
import {
  controllerAnswer,
  deviceHello,
  openIdentity,
  readControllerAnswer,
  signingKeyPairOf,
} from '../src/handshake.ts'
import { hashPassword, passwordProof } from '../src/password.ts'
import { RecordLayer } from '../src/record-layer.ts'
import { decodeRendezvous, encodeRendezvous } from '../src/rendezvous-message.ts'
import { boxKeyPairOf, createBoxKeyPair, createSessionKey } from '../src/session-key.ts'
import { decodeSession, encodeSession } from '../src/session-message.ts'
import { describeVectors, fromHex, toHex } from './vectors.ts'

interface HandshakeVectors {
  keys: { [name: string]: string; deviceId: string }
  handshake: { step: string; bytes?: string; message?: string; frame?: string }[]
  deviceReadsFirstFrame: { cases: { name: string; payload: string; result: string; key?: string }[] }
  controllerReadsSignedId: {
    cases: { name: string; payload: string; devicePublic: string; askedId: string; native: string }[]
  }
  passwords: { cases: { password: string; salt: string; challenge: string; h1: string; proof: string }[] }
  records: { cases: { direction: string; name: string; plain: string; payload: string; frame: string }[] }
  rendezvousMessages: { name: string; hex: string; numericOrderHex?: string }[]
}

describeVectors<HandshakeVectors>('session-handshake.json', (vectors) => {
  const key = (name: string): Uint8Array => fromHex(vectors.keys[name] ?? '')
  const id = vectors.keys.deviceId
  const device = signingKeyPairOf(key('deviceSeed'))
  const deviceBox = boxKeyPairOf(key('deviceSessionSecret'))
  const controllerBox = boxKeyPairOf(key('controllerSessionSecret'))
  const [h0, h1, h2] = vectors.handshake
  const hello = deviceHello(id, device.secretKey, deviceBox.publicKey)

  it('trusts the device that the server signed for', () => {
    expect(openIdentity(fromHex(h0?.bytes ?? ''), key('serverPublic'))).toEqual({ id, publicKey: device.publicKey })
  })

  it('shakes hands with the same bytes', () => {
    expect([toHex(hello), toHex(encodeFrame(hello))]).toEqual([h1?.message, h1?.frame])
    const answer = controllerAnswer(hello, { id, publicKey: device.publicKey }, controllerBox, key('symmetricKey'))
    expect([toHex(answer), toHex(encodeFrame(answer))]).toEqual([h2?.message, h2?.frame])
  })

  it.each(vectors.deviceReadsFirstFrame.cases.map((one) => [one.name, one] as const))(
    'the device reads the first frame: %s',
    (_, { payload, result, key: sessionKey }) => {
      const read = () => readControllerAnswer(fromHex(payload), deviceBox)
      if (result === 'aborted') return expect(read).toThrow(ProtocolError)
      const { records, keyUnconfirmed } = read()
      expect(records && toHex(records.key)).toBe(result === 'encrypted' ? sessionKey : undefined)
      expect(keyUnconfirmed).toBe(result.includes('registers its key anew'))
    },
  )

  // A stock controller goes on in clear text where ours ends the session.
  it.each(vectors.controllerReadsSignedId.cases.map((one) => [one.name, one] as const))(
    'the controller reads the signed id: %s',
    (_, { payload, devicePublic, askedId, native }) => {
      const expected = { id: askedId, publicKey: fromHex(devicePublic) }
      const read = () => controllerAnswer(fromHex(payload), expected, controllerBox, key('symmetricKey'))
      if (native.endsWith('encrypted')) expect(toHex(read())).toBe(h2?.message)
      else expect(read).toThrow(ProtocolError)
    },
  )

  it('proves passwords as clients do', async () => {
    for (const { password, salt, challenge, h1: hash, proof } of vectors.passwords.cases) {
      expect(toHex(await hashPassword(password, salt))).toBe(hash)
      expect(toHex(await passwordProof(password, salt, challenge))).toBe(proof)
    }
  })

  it.each(['device to controller', 'controller to device'])('writes and reads the same records, %s', (direction) => {
    const sender = new RecordLayer(key('symmetricKey'))
    const receiver = new RecordLayer(key('symmetricKey'))
    for (const one of vectors.records.cases.filter((each) => each.direction === direction)) {
      const payload = sender.seal(fromHex(one.plain))
      expect([one.name, toHex(payload), toHex(encodeFrame(payload))]).toEqual([one.name, one.payload, one.frame])
      const plain = receiver.open(payload)
      expect([one.name, toHex(plain), toHex(encodeSession(decodeSession(plain)))]).toEqual([
        one.name,
        one.plain,
        one.plain,
      ])
    }
  })

  it('writes the messages around the handshake again as they were', () => {
    for (const { name, hex, numericOrderHex } of vectors.rendezvousMessages) {
      const written = toHex(encodeRendezvous(decodeRendezvous(fromHex(hex)) as object))
      expect([name, written]).toEqual([name, numericOrderHex ?? hex])
    }
  })
})

describe('peer handshake', () => {
  it('refuses a device that offers a key of small order, whose secret everybody knows', () => {
    const { publicKey, secretKey } = signingKeyPairOf(new Uint8Array(32).fill(5))
    const hello = deviceHello('1', secretKey, new Uint8Array(32))
    const answer = () => controllerAnswer(hello, { id: '1', publicKey }, createBoxKeyPair(), createSessionKey())
    expect(answer).toThrow(ProtocolError)
  })
})
