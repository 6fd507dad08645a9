/** One wrong setting: what it is called, where it was found, what would be right. */
export interface ConfigProblem {
  /** As the operator wrote it: `--prot`, `PORT=abc`; secrets without their value. */
  readonly setting: string
  /** `command line`, a file, `environment`. */
  readonly source: string
  readonly remedy: string
}

/** Everything that is wrong with the configuration, all at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'

  constructor(readonly problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? '1 setting is wrong' : `${problems.length} settings are wrong`
    const lines = problems.map(({ setting, source, remedy }) => `  ${setting} (${source}): ${remedy}`)
    super([`${count}:`, ...lines].join('\n'))
  }
}
