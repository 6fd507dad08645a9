import { describe, expect, it } from '@jest/globals'
import { encodeRendezvous } from '@tryst/protocol'
import { TestBench, TestConnection } from './test-bench.ts'

const ID = '123456789'
const DEVICE = '203.0.113.9'
const CONTROLLER = { ip: '203.0.113.7', port: 50_000 }
const TOKEN = 'a-token'

/** A connection whose client has taken the server's key. */
class EncryptedConnection extends TestConnection {
  readonly isEncrypted = true
}

async function benchWithDevice() {
  const bench = new TestBench()
  await bench.register(ID, DEVICE)
  bench.sent.length = 0
  return bench
}

const punch = (token: string) => ({ punchHoleRequest: { id: ID, licenceKey: 'KEY', version: '1.4.9', token } })
const relay = (token: string) => ({ requestRelay: { id: ID, uuid: 'a-uuid', relayServer: 'r:1', token } })

/** What the controller is asked for in the answer to its request. */
async function feedbackFor(controller: TestConnection, token: string, kind: 'punch' | 'local' | 'begin' | 'join') {
  const bench = await benchWithDevice()
  await bench.message(controller, kind === 'join' ? relay(token) : punch(token))
  const { punchHole, fetchLocalAddr, requestRelay } = bench.sent[0]?.message ?? {}
  const handle = (punchHole ?? fetchLocalAddr ?? requestRelay)?.socketAddr
  const answer = { socketAddr: handle ?? new Uint8Array(0), version: '1.4.9' }
  const message = {
    punch: { punchHoleSent: { ...answer, id: ID } },
    local: { localAddr: { ...answer, id: ID, localAddr: new Uint8Array(6).fill(1) } },
    begin: { relayResponse: { ...answer, id: ID, uuid: 'u', relayServer: 'r:1', feedback: 9 } },
    join: { relayResponse: answer },
  }[kind]
  await bench.message(new TestConnection({ ip: DEVICE, port: 6000 }), message)
  const [received] = controller.received
  return (received?.punchHoleResponse ?? received?.relayResponse)?.feedback
}

const NEIGHBOUR = { ip: DEVICE, port: 50_000 }

describe('controllers that are signed in', () => {
  it.each([
    ['punch', CONTROLLER],
    ['local', NEIGHBOUR],
    ['begin', CONTROLLER],
    ['join', CONTROLLER],
  ] as const)('are asked to tell how long the session lives: %s', async (kind, from) => {
    expect(await feedbackFor(new EncryptedConnection(from), TOKEN, kind)).toBe(1)
  })

  it('are asked over a WebSocket too', async () => {
    expect(await feedbackFor(new TestConnection(CONTROLLER, 'websocket'), TOKEN, 'join')).toBe(1)
  })

  it.each(['punch', 'begin', 'join'] as const)('alone are asked: %s', async (kind) => {
    // Without a token clients do not do it; without encryption they could not.
    expect(await feedbackFor(new EncryptedConnection(CONTROLLER), '', kind)).toBe(0)
    expect(await feedbackFor(new TestConnection(CONTROLLER), TOKEN, kind)).toBe(0)
  })

  it('count as long as they say that the session lives', async () => {
    const bench = await benchWithDevice()
    const { kept } = bench.server
    const connection = new EncryptedConnection(CONTROLLER)
    expect(await bench.message(connection, { hc: { token: TOKEN } })).toEqual([])
    await bench.message(connection, { hc: { token: TOKEN } })
    expect({ isKept: connection.isKept, sessions: kept.sessions, devices: kept.devices }).toEqual({
      ...{ isKept: true, sessions: 1, devices: 0 },
    })
    // The client sends back what it hears, and stays.
    for (let passedMs = 0; passedMs < 60_000; passedMs += 250) {
      bench.passTime(250)
      bench.server.sweep()
      const { beats } = connection
      connection.beats = 0
      for (let i = 0; i < beats; i++) bench.server.onMessage(connection, new Uint8Array(0))
    }
    expect({ isClosed: connection.isClosed, sessions: kept.sessions }).toEqual({ isClosed: false, sessions: 1 })
    bench.server.onClose(connection)
    expect(kept.sessions).toBe(0)
  })

  it('that fall silent are given up', async () => {
    const bench = await benchWithDevice()
    const connection = new EncryptedConnection(CONTROLLER)
    await bench.message(connection, { hc: { token: TOKEN } })
    for (let passedMs = 0; passedMs < 31_000; passedMs += 250) {
      bench.passTime(250)
      bench.server.sweep()
    }
    expect(connection.isClosed).toBe(true)
  })

  it('prove nothing by that, and nobody is kept without a token', () => {
    const bench = new TestBench()
    const connection = new EncryptedConnection(CONTROLLER)
    expect(bench.server.onMessage(connection, encodeRendezvous({ hc: { token: TOKEN } }))).toBe('invalid')
    const nobody = new EncryptedConnection(CONTROLLER)
    expect(bench.server.onMessage(nobody, encodeRendezvous({ hc: {} }))).toBe('invalid')
    expect({ closed: nobody.closed, sessions: bench.server.kept.sessions }).toEqual({ closed: true, sessions: 1 })
  })

  it('show their token to the server only', async () => {
    const bench = await benchWithDevice()
    const request = { ...relay(TOKEN).requestRelay, switchCode: 'a-code', secure: true }
    await bench.message(new EncryptedConnection(CONTROLLER), { requestRelay: request })
    expect(bench.sent[0]?.message.requestRelay).toMatchObject({
      ...{ uuid: 'a-uuid', secure: true, token: '', switchCode: '' },
    })
  })

  it('cannot tell a device what they may do there', async () => {
    const bench = await benchWithDevice()
    const request = {
      ...relay(TOKEN).requestRelay,
      controlPermissions: { permissions: 0xaaaa },
      controlledContext: { connAuditRef: 'x' },
    }
    await bench.message(new EncryptedConnection(CONTROLLER), { requestRelay: request })
    const { controlPermissions, controlledContext } = bench.sent[0]?.message.requestRelay ?? {}
    expect({ controlPermissions, controlledContext }).toEqual({ controlPermissions: null, controlledContext: null })
  })
})
