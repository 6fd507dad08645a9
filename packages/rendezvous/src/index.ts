export { sourcePrefix } from '@tryst/protocol'
export { AttemptBudget } from './attempt-budget.ts'
export { formatAttemptCode, readAttemptCode } from './attempt-code.ts'
export { type Attempt, AttemptRecorder, noteworthyStep, type PartSurroundings, takePart } from './attempt-recorder.ts'
export {
  ATTEMPT_STEPS,
  type AttemptStepName,
  MAX_TRACE_PARTS,
  RELAY_STEPS,
  type RelayStepName,
  type TracePart,
  type TraceStep,
  type TraceStore,
} from './attempt-trace.ts'
export { hostOf, RelayChooser, withPort } from './choose-relay.ts'
export type { Cluster, DeviceAnswer, LocalNode, Location, PushOutcome } from './cluster.ts'
export type { ClientConnection, Clock, DatagramPort } from './connection.ts'
export {
  CONTROL_RULES,
  type ControlAccount,
  type ControlAccounts,
  type ControlDecision,
  type ControlRule,
  decideControl,
} from './control-access.ts'
export {
  ANSWER_OUTCOMES,
  Counters,
  DROP_REASONS,
  ID_CHANGE_OUTCOMES,
  KEY_EXCHANGE_OUTCOMES,
  type KeyExchangeOutcome,
  REGISTRATION_OUTCOMES,
  REQUEST_OUTCOMES,
} from './counters.ts'
export {
  ACCESS_MODES,
  type AccessMode,
  type AccessStore,
  type Admission,
  type AdmissionFacts,
  type DeployToken,
  type DeviceClaim,
  type DeviceFingerprints,
  decideAdmission,
  type Invite,
  type ListedDevice,
  type ListedState,
  type ListingReason,
  MAX_DECIDED_DEVICES,
  MAX_PENDING_DEVICES,
  MAX_PENDING_OF_ID,
  MAX_PENDING_OF_SOURCE,
  REFRESH_PENDING_MS,
  type Standing,
  type TokenUse,
} from './device-access.ts'
export type { Contradicting, LimitName, RendezvousEvents } from './events.ts'
export { HiddenSources, type HiddenSourcesOptions, type HiddenSourcesReport } from './hidden-sources.ts'
export type { HttpHeader, HttpProxy, ProxiedAnswer, ProxiedRequest } from './http-proxy.ts'
export {
  type FoundIdentity,
  type IdentityStanding,
  type IdentityStore,
  type NewPeerIdentity,
  type RenameOutcome,
  type Renaming,
  StoreUnavailableError,
} from './identity-store.ts'
export { TICKET_LIFETIME_MS } from './issued-tickets.ts'
export { isLoopback } from './loopback.ts'
export { NOT_IPV4, packIpv4, unpackIpv4 } from './packed-ipv4.ts'
export type { NodeId, PeerId, PeerIdentity } from './peer-identity.ts'
export {
  DEFAULT_KEEP_SILENT_MS,
  DEFAULT_MAX_PEERS,
  ONLINE_WINDOW_MS,
  type Presence,
  PresenceTable,
} from './presence-table.ts'
export type { AnnouncedRelay, RelayAnnouncer, RelayDirectory } from './relay-directory.ts'
export type { RelayRule } from './relay-rules.ts'
export { noTickets, type RelayTickets } from './relay-tickets.ts'
export type { RendezvousPorts } from './rendezvous-ports.ts'
export { type Reception, RendezvousServer } from './rendezvous-server.ts'
export {
  DEFAULT_OLD_ID_HOLD_MS,
  DEFAULT_REGISTRATION_LIMITS,
  MIN_REGISTERED_ID_BYTES,
  type RegistrationLimits,
  type RendezvousSettings,
} from './settings.ts'
