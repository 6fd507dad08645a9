export { ConfigError, type ConfigProblem } from './config-error.ts'
export { type HbbrConfig, hbbrSettings } from './hbbr-settings.ts'
export { type HbbsConfig, hbbsSettings } from './hbbs-settings.ts'
export {
  type ConfigInput,
  type ParsedConfig,
  parseHbbrConfig,
  parseHbbsConfig,
  parseStandaloneConfig,
} from './parse-config.ts'
export { packageVersion, processInput, readConfigOrExit } from './read-config.ts'
export type { ConfigOf, Flag, Setting, SettingsTable } from './setting.ts'
export type { LogFormat, LogLevel } from './shared-settings.ts'
export { type StandaloneConfig, standaloneSettings } from './standalone-settings.ts'
export type { BindAddress } from './value-schemas.ts'
