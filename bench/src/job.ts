/** The server that a generator puts load on. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly pid: number
}

/** What a generator process is made for; handed over as its one argument. */
export interface GeneratorSetup {
  readonly target: Target
  /** 0 where the target is a relay. */
  readonly devices: number
  /** The public key of an ID server, which controllers present. */
  readonly key: string
}

/** One piece of work for a generator. Rates are taken while as many requests as the server bears are under way. */
export type Job =
  /** Registers the next share of the fleet; all shares together are the whole fleet. */
  | { readonly kind: 'registrations'; readonly share: number; readonly shares: number }
  | { readonly kind: 'heartbeats'; readonly seconds: number }
  | { readonly kind: 'punches'; readonly connections: 'per-request' | 'kept'; readonly seconds: number }
  | { readonly kind: 'relay-streams'; readonly sessions: number; readonly seconds: number }
  | { readonly kind: 'round-trips'; readonly seconds: number }

/** What came of a job. */
export interface Measured {
  /** Registrations, heartbeats, punches, relayed bytes or round trips. */
  readonly units: number
  readonly seconds: number
  readonly serverCpuUs: number
  readonly generatorCpuUs: number
  /** Answers with the wrong content, refusals and connections that broke. */
  readonly wrong: number
  /** Requests without an answer. */
  readonly lost: number
  readonly roundTrips?: RoundTrips
}

/** Microseconds through the relay, and without one right before. */
export interface RoundTrips {
  readonly p50Us: number
  readonly p99Us: number
  readonly directP50Us: number
}

/** What a generator process says: once when it is ready, then for each job. */
export type GeneratorReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'measured'; readonly measured: Measured }
  | { readonly kind: 'failed'; readonly reason: string }
