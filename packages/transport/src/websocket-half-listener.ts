import type { HalfGuard } from './half-guard.ts'
import { WebSocketHalf } from './websocket-half.ts'
import { WebSocketUpgrades, type WebSocketUpgradesOptions } from './websocket-upgrades.ts'

export interface WebSocketHalfListenerOptions extends Omit<WebSocketUpgradesOptions, 'onUpgraded'> {
  readonly guard: HalfGuard
  readonly firstMessageMaxBytes: number
  /** Whether those that wait for a partner may be given to another process. */
  readonly mayBeGiven?: boolean
  /** @param ageMs how long ago the connection was accepted */
  readonly onOpen: (half: WebSocketHalf, ageMs: number) => void
}

/** The relay's WebSocket port. */
export function openWebSocketHalves(options: WebSocketHalfListenerOptions): Promise<WebSocketUpgrades> {
  const { guard, onOpen } = options
  return WebSocketUpgrades.open({
    ...options,
    onUpgraded: (upgraded) => {
      const half = new WebSocketHalf(upgraded, options)
      // The address from the proxy's header is the one that limits and lists look at.
      if (guard.admit(half, half.remote.ip)) onOpen(half, upgraded.ageMs)
      else half.destroy()
    },
  })
}
