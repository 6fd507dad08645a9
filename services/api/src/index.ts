export { Api, type ApiOptions } from './api.ts'
export { StateDeployments } from './deployments.ts'
export { noAccounts } from './no-accounts.ts'
export type {
  Accounts,
  ApiPorts,
  AuditKind,
  AuditTrail,
  DeviceHeartbeat,
  DeviceInventory,
  DeviceReports,
  HeartbeatAnswer,
  Session,
} from './ports.ts'
