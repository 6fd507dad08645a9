/** What runs in a browser: a controller whose connections are WebSockets. */
export { type Clock, scaledClock, systemClock } from '../clock.ts'
export { ConnectError, type ConnectFailure, retriesAfter } from '../connect-error.ts'
export type { ConnectOptions } from '../controller-core.ts'
export { ControllerSession, LoginRefusedError, type SessionKind } from '../controller-session.ts'
export { LinkError, type LinkFailure } from '../link-error.ts'
export type { DataHandler, SessionEnd, SessionPath, SessionRoute } from '../peer-session.ts'
export type { ServerSettings } from '../service-address.ts'
export { Controller, type ControllerOptions } from './controller.ts'
