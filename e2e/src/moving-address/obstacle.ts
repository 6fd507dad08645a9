import { spawnSync } from 'node:child_process'
import { NO_NAMESPACES } from '../site/namespace.ts'

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined

/** Why namespaces with a moving address can't be had here; undefined: they can. */
export const NO_MOVING_ADDRESS: string | undefined = NO_NAMESPACES ?? whatIsMissing()

function whatIsMissing(): string | undefined {
  if (!has('keepalived')) return 'skipped: keepalived is not installed; install the package keepalived'
  return has('curl') ? undefined : 'skipped: curl is not installed; install the package curl'
}
