export { AdminClient, NoServerError } from './admin-client.ts'
export { ADMIN_PATHS, ADMIN_SOCKET, type AdminRefusal, REFUSAL_STATUS } from './admin-protocol.ts'
export {
  type Administration,
  AdministrationError,
  DEVICE_STATES,
  type DeployRequest,
  type DeployResult,
  type DeviceRow,
  type Done,
  type RefusalCode,
  type TokenLimits,
  type TokenRow,
} from './administration.ts'
export { DeviceAdministration, type DeviceAdministrationParts } from './device-administration.ts'
export type { KnownDevice } from './device-list.ts'
