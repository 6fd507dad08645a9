import { createServer } from 'node:net'
import type { Clock } from '../src/clock.ts'
import { createDeviceIdentity } from '../src/device-identity.ts'
import type { SessionHost } from '../src/device-session.ts'
import { NO_FAILURES } from '../src/login.ts'
import { dialTcp, TcpLink } from '../src/tcp-link.ts'

/** Two ends of one TCP connection on loopback. */
export async function linkPair(clock: Clock): Promise<[TcpLink, TcpLink]> {
  const server = createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const accepted = new Promise<TcpLink>((resolve) =>
    server.once('connection', (socket) => resolve(new TcpLink(socket, clock))),
  )
  const dialled = await dialTcp({ ip: '127.0.0.1', port }, { clock, limitMs: 10_000 })
  const other = await accepted
  server.close()
  return [dialled, other]
}

/** A device without a registration: what a session needs of it. */
export const sessionHost = (clock: Clock, options: Partial<SessionHost> = {}): SessionHost => ({
  identity: createDeviceIdentity({ id: '111222333', seed: new Uint8Array(32).fill(3) }),
  clock,
  password: 'Test-Pass-1',
  salt: 'abcd12',
  hostname: 'device',
  failures: NO_FAILURES,
  authorized: () => undefined,
  keyUnconfirmed: () => undefined,
  ...options,
})
