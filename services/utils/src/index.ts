export type { CommandResult } from './key-commands.ts'
export { runUtils, type UtilsInput } from './utils.ts'
