export { type ChangeIdOutcome, isCustomId, requestId } from './change-id.ts'
export { type Clock, scaledClock, systemClock } from './clock.ts'
export { ConnectError, type ConnectFailure, retriesAfter } from './connect-error.ts'
export { Controller } from './controller.ts'
export type { ConnectOptions, ControllerOptions } from './controller-core.ts'
export { ControllerSession, LoginRefusedError, type SessionKind } from './controller-session.ts'
export { Device, type DeviceOptions, echo } from './device.ts'
export { createDeviceIdentity, type DeviceIdentity } from './device-identity.ts'
export { DeviceSession } from './device-session.ts'
export type { Dialler, DialOptions } from './dialler.ts'
export { ENDED, type Received } from './inbox.ts'
export type { Link, LinkTransport } from './link.ts'
export { LinkError, type LinkFailure } from './link-error.ts'
export { type NatType, testNat } from './nat-test.ts'
export { nodeDialler } from './node-dialler.ts'
export { queryOnline } from './online-query.ts'
export type { DataHandler, SessionEnd, SessionPath, SessionRoute } from './peer-session.ts'
export { askApi } from './proxied-request.ts'
export type { Reaction } from './reaction.ts'
export type { RegistrationStatus } from './registration.ts'
export { type Answer, isMessage, type Network, openLink, RendezvousLink, SecureTcpError } from './rendezvous-link.ts'
export {
  type HostPort,
  idServer,
  natTestServer,
  parseHostPort,
  type ServerSettings,
  webSocketUrl,
} from './service-address.ts'
