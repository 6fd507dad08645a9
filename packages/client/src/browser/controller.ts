import { ControllerCore, type ControllerOptions as OptionsOnNode } from '../controller-core.ts'
import { browserDialler } from './browser-dialler.ts'

/** `server.webSocketScheme` is by default that of the page: `wss` when it came over HTTPS. */
export type ControllerOptions = Omit<OptionsOnNode, 'transport' | 'natType' | 'localAddress'>

/** A controlling client in a browser: everything goes over WebSockets, every session through the relay. */
export class Controller extends ControllerCore {
  constructor(options: ControllerOptions) {
    const server = { webSocketScheme: schemeOfPage(), ...options.server }
    super({ ...options, server, transport: 'websocket' }, browserDialler)
  }
}

/** A page that came over HTTPS may open no other connections than encrypted ones. */
function schemeOfPage(): 'ws' | 'wss' {
  const { location } = globalThis as { readonly location?: { readonly protocol: string } }
  return location?.protocol === 'https:' ? 'wss' : 'ws'
}
