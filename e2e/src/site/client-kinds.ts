import type { ControllerOptions, DeviceOptions } from '@tryst/client'

/** What a network lets its clients use: controllers have no use for UDP where they find devices. */
export const CLIENT_KINDS = ['UDP', 'TCP', 'WebSocket'] as const
export type ClientKind = (typeof CLIENT_KINDS)[number]

/** A device that registers over UDP, with `disable-udp` over TCP, or in WebSocket mode. */
export const DEVICE_OF_KIND: Readonly<Record<ClientKind, Partial<DeviceOptions>>> = {
  UDP: { registration: 'udp' },
  TCP: { registration: 'connection' },
  WebSocket: { transport: 'websocket', natType: 'symmetric' },
}

export const CONTROLLER_OF_KIND: Readonly<Record<ClientKind, Partial<ControllerOptions>>> = {
  UDP: {},
  TCP: {},
  WebSocket: { transport: 'websocket' },
}

export const PAIRS: readonly (readonly [ClientKind, ClientKind])[] = CLIENT_KINDS.flatMap((controller) =>
  CLIENT_KINDS.map((device) => [controller, device] as const),
)

/** Over a WebSocket nobody can be connected to. */
export const pathOfPair = (...kinds: readonly ClientKind[]): 'direct' | 'relay' =>
  kinds.includes('WebSocket') ? 'relay' : 'direct'
