/**
 * Recorded exchanges with the reference servers: what each scripted client sends and what it then receives. Bytes are
 * hex, members of `fields` have the names of the protocol definition.
 */
export type Fields = { [name: string]: FieldValue }
export type FieldValue = string | number | boolean | Fields | FieldValue[]

export type PortRole = 'main' | 'nat' | 'ws' | 'relay' | 'relayWs'

export interface ScriptedClient {
  readonly transport: 'udp' | 'tcp' | 'ws'
  readonly port: PortRole
  /** Source address. */
  readonly ip: string
  /** Server address, if not the usual one of the same family. */
  readonly to?: string
  /** Of the WebSocket upgrade. */
  readonly headers?: Readonly<Record<string, string>>
  readonly path?: string
}

/** How a field differs from run to run. */
export type Varying = { mangledAddressOf: string } | { mangled: string } | { portOf: string }

interface MessageText {
  hex: string
  fields?: Fields
  /** Bytes inside the envelope behind the known fields: an unknown field. */
  innerSuffix?: string
}

export type Step =
  | { open: string }
  | ({ send: string; substitute?: Record<string, Varying> } & MessageText)
  | { sendBytes: string; hex?: string; frameOf?: { hex: string; zeros: number } }
  | { sendWs: string; opcode: WsOpcode; text?: string; hex?: string; final?: false }
  | ({ expect: string; varies?: Record<string, Varying> } & MessageText)
  | { expectBytes: string; hex: string }
  | { expectWs: string; opcode: WsOpcode; hex: string }
  | { expectClosed: string; how: 'end'; afterMs?: number }
  | { expectNothing: string; forMs: number; stillOpen?: true }
  | ConsoleStep
  | { wait: number }
  | { shutdownWriting: string }
  | { close: string }
  | { reset: string }
  | { restart: true }
  | { bothWays: { length: number; sha256: string } }
  | { note: string }

/** The kind of step that has this member. */
export type StepOf<K extends string> = Extract<Step, Record<K, unknown>>

export interface ConsoleStep {
  console: 'nat' | 'relay'
  /** Loopback address to connect from. */
  from?: string
  command?: string
  hex?: string
  segments?: string[]
  answer: string
  /** Regular expressions for lines that hold times, ages, ports or speeds. */
  linePatterns?: string[]
  anyOrder?: true
}

export type WsOpcode = 'continuation' | 'text' | 'binary' | 'close' | 'ping' | 'pong'

export interface Transcript {
  readonly name: string
  readonly clients?: Readonly<Record<string, ScriptedClient>>
  readonly upgradeAnswer?: readonly string[]
  readonly steps: readonly Step[]
}

export interface GroupOptions {
  /** Arguments without the port; absent when that server does not run. */
  readonly hbbs?: readonly string[]
  readonly hbbr?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Extra files in the working directory. */
  readonly files?: Readonly<Record<string, string>>
  /** If present, there is no key pair at the start. */
  readonly keyFiles?: string
}

/** Transcripts that run against servers of their own. */
export interface Group {
  readonly name: string
  readonly options: GroupOptions
  readonly concurrent?: true
  readonly transcripts: readonly Transcript[]
}

export interface TranscriptFile {
  readonly keys: { readonly serverPublicText: string; readonly serverSecretText: string }
  readonly groups: readonly Group[]
}

/** One place where the servers did something else than the reference. */
export interface Difference {
  readonly group: string
  readonly transcript: string
  /** Index of the step. */
  readonly step: number
  readonly reference: string
  readonly found: string
}
