export type { CommandResult } from './command-result.ts'
export { runUtils, type UtilsInput } from './utils.ts'
