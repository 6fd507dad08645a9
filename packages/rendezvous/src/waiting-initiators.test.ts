import { expect, it } from '@jest/globals'
import type { ClientConnection } from './connection.ts'
import type { PeerId } from './peer-identity.ts'
import { WaitingInitiators } from './waiting-initiators.ts'

const connection = (port: number): ClientConnection => ({
  transport: 'tcp',
  remote: { ip: '172.17.0.1', port },
  isClosed: false,
  unsentBytes: 0,
  send: () => undefined,
  keep: () => undefined,
  close: () => undefined,
  destroy: () => undefined,
})

const question = {
  kind: 'local-address',
  needsTruePort: false,
  byUdp: false,
  deviceIp: '172.17.0.1',
  feedback: 0,
} as const

it('goes on when every port of an address is drawn already, and clears away all that waited', () => {
  // A generator that soon repeats itself stands for an address behind which 65,535 ports are taken.
  let drawn = 0
  const waiting = new WaitingInitiators(() => (drawn++ % 3) + 1)
  const connections = [1_001, 1_002, 1_003, 1_004, 1_005].map(connection)
  const asks = connections.map((one) => waiting.ask(one, '123456789' as PeerId, question, 0))
  const answer = (handle: Uint8Array) => ({
    ...{ kind: 'local-addr' as const, handle, id: '123456789', message: new Uint8Array(0) },
    from: { ip: '172.17.0.1', port: 5 },
  })
  // Those that came first stay.
  for (const ask of asks.slice(0, 3)) expect(waiting.match(answer(ask.handle), 1)).toBe(ask)
  for (const one of connections.slice(3)) waiting.drop(one)
  for (const ask of asks.slice(0, 3)) expect(waiting.match(answer(ask.handle), 1)).toBe(ask)
  for (const one of connections) waiting.drop(one)
  for (const ask of asks) expect(waiting.match(answer(ask.handle), 1)).toBeUndefined()
  expect([waiting.size, waiting.unanswered]).toEqual([0, 0])
})
