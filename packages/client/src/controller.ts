import { ControllerCore, type ControllerOptions } from './controller-core.ts'
import { nodeDialler } from './node-dialler.ts'

/** A controlling client on Node: starts sessions with devices that are registered with its ID server. */
export class Controller extends ControllerCore {
  constructor(options: ControllerOptions) {
    super({ ...options, transport: options.transport ?? 'tcp' }, nodeDialler)
  }
}
