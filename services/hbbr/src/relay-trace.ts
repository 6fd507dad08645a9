import type { TraceStore } from '@tryst/rendezvous'
import { type HbbrConfig, hasServerAsParent, type Logger, nodeLabel } from '@tryst/service'
import { TraceWriter } from '@tryst/shared-node'
import { RedisTraceStore } from '@tryst/state-redis'
import type { EventLog } from './event-log.ts'
import { SessionTrace } from './session-trace.ts'
import type { SharedRelay } from './shared-relay.ts'

export interface RelayTrace {
  readonly events: SessionTrace
  readonly writer: TraceWriter
}

/** Undefined where nothing is recorded, or nobody takes it: then only the log has it, under the name of the session. */
export function openRelayTrace(
  config: HbbrConfig,
  { eventLog, shared, log }: { readonly eventLog: EventLog; readonly shared: SharedRelay | undefined; log: Logger },
): RelayTrace | undefined {
  if (config.traceKeepMs === 0) return undefined
  const store = shared ? new RedisTraceStore(shared.node.connection, config.traceKeepMs) : storeOfParent()
  if (!store) return undefined
  const events = new SessionTrace(eventLog, Date.now)
  const node = nodeLabel(config)
  return { events, writer: new TraceWriter({ store, log, take: () => events.take(node) }) }
}

/** The ID server that the same parent runs. */
function storeOfParent(): TraceStore | undefined {
  if (!hasServerAsParent()) return undefined
  return {
    write: async (trace) => {
      // What it does not get any more is lost with it.
      if (process.connected) process.send?.({ trace }, undefined, undefined, () => {})
    },
    read: async function* () {},
    close: async () => {},
  }
}
