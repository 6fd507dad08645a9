import { describe, expect, it } from '@jest/globals'
import { decodeRendezvous, encodeRendezvous, mangleAddress, type OutgoingRendezvousMessage } from '@tryst/protocol'
import { judgePunchAnswer } from './punch-answer.ts'

const judge = (answer: OutgoingRendezvousMessage) => judgePunchAnswer(decodeRendezvous(encodeRendezvous(answer)))
const address = { ip: '203.0.113.9', port: 40_000 }

describe('answer to a PunchHoleRequest', () => {
  it('is an address when there is one, whatever else is set', () => {
    const socketAddr = mangleAddress(address, 5)
    expect(judge({ punchHoleResponse: { socketAddr, failure: 2, otherFailure: 'no', natType: 1 } })).toMatchObject({
      kind: 'direct',
      address,
      isLocal: false,
      deviceNat: 'asymmetric',
    })
    expect(judge({ punchHoleResponse: { socketAddr, isLocal: true } })).toMatchObject({
      isLocal: true,
      deviceNat: 'unknown',
    })
  })

  it.each([
    [{ otherFailure: 'Ask your administrator', failure: 2 }, 'otherFailure', 'Ask your administrator', true],
    [{ otherFailure: 'ID does not exist (K7M2QX)' }, 'idNotExist', 'ID does not exist (K7M2QX)', false],
    [
      { otherFailure: 'Remote desktop is offline (K7M2QX)', failure: 2 },
      'offline',
      'Remote desktop is offline (K7M2QX)',
      false,
    ],
    [{}, 'idNotExist', 'ID does not exist', false],
    [{ failure: 2 }, 'offline', 'Remote desktop is offline', false],
    [{ failure: 3 }, 'keyMismatch', 'Key mismatch', false],
    [{ failure: 4 }, 'keyOveruse', 'Key overuse', true],
    [{ failure: 1 }, 'unknownFailure', 'other punch hole failure', true],
  ])('%j is refused as %s', (punchHoleResponse, failure, message, retries) => {
    expect(judge({ punchHoleResponse })).toMatchObject({ kind: 'failed', error: { failure, message, retries } })
  })

  it('is a relay when the device begins one', () => {
    expect(judge({ relayResponse: { uuid: 'u', relayServer: 'r:1', pk: Uint8Array.of(1) } })).toMatchObject({
      kind: 'relay',
      pairing: 'u',
      relayServer: 'r:1',
    })
  })

  it('is no relay without a name, and a reason to refuse is not shown', () => {
    expect(judge({ relayResponse: { refuseReason: 'Not allowed here' } })).toMatchObject({
      error: { message: 'Failed to connect to relay server: Please try later' },
    })
  })

  it.each(['ended', 'timeout', 'unreadable'] as const)('is asked for again when it is missing: %s', (answer) => {
    expect(judgePunchAnswer(answer)).toEqual({ kind: 'again' })
  })

  it('is asked for again when it is another message', () => {
    expect(judge({ testNatResponse: { port: 1 } })).toEqual({ kind: 'again' })
  })
})
