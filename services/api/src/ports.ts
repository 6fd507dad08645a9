/** Somebody who has logged in. */
export interface Session {
  readonly userName: string
}

export interface LoginRequest {
  readonly username: string
  readonly password?: string
  readonly id: string
  readonly uuid: string
}

/** Who may log in, and who has. */
export interface Accounts {
  /** Buttons for other ways to log in, in the clients' form; empty: none. */
  loginOptions(): Promise<readonly string[]>
  /** The token of a new session, or a refusal in words for the user. */
  login(request: LoginRequest): Promise<{ readonly token: string } | { readonly refusal: string }>
  /** Undefined when the token is nobody's, or no longer. */
  findSession(token: string): Promise<Session | undefined>
}

/** What a device says of itself; nothing proves that it is that device. */
export interface DeviceClaim {
  readonly id: string
  /** Older clients leave it out. */
  readonly uuid?: string
}

export interface DeviceHeartbeat extends DeviceClaim {
  readonly ver?: number
  /** Connections that are open to the device now. */
  readonly conns?: readonly number[]
  readonly modified_at?: number
}

/** What a device is told in answer to a heartbeat; nothing, usually. */
export interface HeartbeatAnswer {
  /** Present: the device sends its inventory once more. */
  readonly sysinfo?: true
  /** Connections that the device ends. */
  readonly disconnect?: readonly number[]
}

export interface DeviceInventory extends DeviceClaim {
  readonly [field: string]: unknown
}

/** What devices report. */
export interface DeviceReports {
  heartbeat(report: DeviceHeartbeat): Promise<HeartbeatAnswer>
  inventory(report: DeviceInventory): Promise<'updated' | 'unknown device'>
  /** A text that changes when inventories are wanted anew. */
  inventoryVersion(): Promise<string>
}

export const AUDIT_KINDS = ['conn', 'file', 'alarm'] as const
export type AuditKind = (typeof AUDIT_KINDS)[number]

/** What happened at a device. */
export interface AuditTrail {
  /** @param record JSON as the device wrote it: its numbers may have 64 bits. Settles when the record is safe. */
  add(kind: AuditKind, record: string): Promise<void>
}

export interface DeployRequest {
  /** Empty where none was given. */
  readonly token: string
  readonly id: string
  /** Base64. */
  readonly uuid: string
  readonly pk: string
}

/** Registers devices that deploy themselves with a token. */
export interface Deployments {
  /** A word that stock clients know; `bad-token`; `unavailable`: nothing is known of the outcome. */
  deploy(
    request: DeployRequest,
  ): Promise<'OK' | 'NOT_ENABLED' | 'INVALID_INPUT' | 'ID_TAKEN' | 'bad-token' | 'unavailable'>
}

/** Everything that the routes need behind them. */
export interface ApiPorts {
  readonly deployments: Deployments
  readonly accounts: Accounts
  readonly devices: DeviceReports
  readonly audit: AuditTrail
}
