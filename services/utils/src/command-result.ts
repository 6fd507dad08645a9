/** What a command prints last on standard output, and its exit status. */
export interface CommandResult {
  readonly output: string
  /** 1: it did not do what it was told. 2: it did, and something is left for the operator to decide. */
  readonly status: 0 | 1 | 2
}
