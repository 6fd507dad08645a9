/** The server that a generator puts load on. */
export interface Target {
  readonly host: string
  readonly port: number
  /** Of another node of the same server; the same port where there is none. */
  readonly otherPort: number
  /** Everything that works for the server: its nodes with their workers, and their Redis. */
  readonly pids: readonly number[]
}

/** The node that a device is registered with, or another one. */
export type AskedNode = 'same-node' | 'other-node'

/** What a generator process is made for; handed over as its one argument. */
export interface GeneratorSetup {
  readonly target: Target
  /** 0 where the target is a relay. */
  readonly devices: number
  /** The public key of an ID server, which controllers present. */
  readonly key: string
}

/** Whether controllers ask once on a connection or again and again; `encrypted`: once, as those that are signed in. */
export type Connections = 'per-request' | 'kept' | 'encrypted'

/** One piece of work for a generator. Rates are taken while as many requests as the server bears are under way. */
export type Job =
  /** Registers the next share of the fleet; all shares together are the whole fleet. */
  | { readonly kind: 'registrations'; readonly share: number; readonly shares: number }
  | { readonly kind: 'heartbeats'; readonly seconds: number }
  /** Each device at its own time, once in `everySeconds`. */
  | { readonly kind: 'paced-heartbeats'; readonly everySeconds: number; readonly seconds: number }
  | {
      readonly kind: 'punches'
      readonly connections: Connections
      readonly seconds: number
      readonly asked: AskedNode
    }
  /** One after the other, each controller with an address of its own. */
  | { readonly kind: 'single-punches'; readonly asked: AskedNode; readonly count: number }
  | { readonly kind: 'relayed-sessions'; readonly asked: AskedNode; readonly count: number }
  /** With halves at other nodes, the receiving one is there. */
  | { readonly kind: 'relay-streams'; readonly sessions: number; readonly seconds: number; readonly halves: AskedNode }
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
  /** How long each unit took, where they are done one by one. */
  readonly durations?: Durations
  /** What the server's Redis did meanwhile, where somebody counted. */
  readonly commands?: RedisCommands
}

/** Microseconds through the relay, and without one right before. */
export interface RoundTrips {
  readonly p50Us: number
  readonly p99Us: number
  readonly directP50Us: number
}

export interface RedisCommands {
  /** What nodes sent. */
  readonly sent: number
  /** The same, and what their scripts called. */
  readonly executed: number
}

export interface Durations {
  readonly p50Us: number
  readonly p99Us: number
}

/** What a generator process says: once when it is ready, then for each job. */
export type GeneratorReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'measured'; readonly measured: Measured }
  | { readonly kind: 'failed'; readonly reason: string }
