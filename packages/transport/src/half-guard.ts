import type { RelayHalf } from '@tryst/relay'
import type { ConnectionGuard } from './connection-guard.ts'

/** Shares of the relay's connections, TCP and WebSocket together. */
export type HalfGuard = ConnectionGuard<RelayHalf>
