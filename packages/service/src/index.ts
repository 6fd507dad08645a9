export { type ApiConfig, apiSettings } from './api-settings.ts'
export { asClientSetting, type ClientAddress, clientAddresses } from './client-addresses.ts'
export { type ClusterConfig, type RedisPlace, redisPlace } from './cluster-settings.ts'
export { flagNames } from './command-line.ts'
export { ConfigError, type ConfigProblem } from './config-error.ts'
export { CountedWarnings, type CountedWarningsOptions } from './counted-warnings.ts'
export { type HbbrConfig, hbbrSettings } from './hbbr-settings.ts'
export { type HbbsConfig, hbbsSettings } from './hbbs-settings.ts'
export {
  type HealthServer,
  type HealthServerOptions,
  type Readiness,
  startHealthServer,
  startWantedHealthServer,
  type WantedHealthServer,
} from './health-server.ts'
export { drawKey, KeyFileError, PUBLIC_KEY_FILE, SECRET_KEY_FILE } from './key-files.ts'
export { type KeyPairOptions, type LoadedKeyPair, loadKeyPair } from './key-pair.ts'
export { describeListenError, ListenError, type ListenTarget } from './listen-error.ts'
export { createLogger, type Logger, type LoggerOptions } from './logger.ts'
export { makeFolder } from './make-folder.ts'
export {
  createMetrics,
  type GridReading,
  type LabelledReading,
  type Metrics,
  type Reading,
  zeroCounts,
} from './metrics.ts'
export { belongTogether, generateSecretKey, nodeSigner, publicHalf } from './node-signer.ts'
export { WorkerSiblings } from './parcels.ts'
export {
  type ConfigInput,
  type ParsedConfig,
  parseApiConfig,
  parseHbbrConfig,
  parseHbbsConfig,
  parseStandaloneConfig,
} from './parse-config.ts'
export { findPortOwner, type PortOwner, type PortProtocol } from './port-owner.ts'
export { looksLikeProbe, probeId } from './probe-id.ts'
export { findPublicKey } from './public-key.ts'
export {
  hasServerAsParent,
  packageVersion,
  processInput,
  readConfigOrExit,
  TICKETS_FROM_PARENT,
  ticketsGoThroughParent,
} from './read-config.ts'
export { type ServiceEnd, ServiceProcess, type ServiceProcessOptions } from './service-process.ts'
export type { ConfigOf, Flag, Setting, SettingsTable, Topic } from './setting.ts'
export type { LogFormat, LogLevel } from './shared-settings.ts'
export { installShutdown, type Shutdown, type ShutdownOptions } from './shutdown.ts'
export { type StandaloneConfig, standaloneSettings } from './standalone-settings.ts'
export {
  type DeviceToolConfig,
  parseDeviceToolConfig,
  parseToolConfig,
  type RedisFlag,
  readFolderConfig,
  redisFlags,
} from './tool-config.ts'
export type { BindAddress, HostAndPort, NetworkRule } from './value-schemas.ts'
export { nodeLabel, runWorkers, workerConfig, workerNumber, workerSiblings } from './workers.ts'
