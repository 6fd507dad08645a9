import type { ServerSettings } from '@tryst/client'

/** The name of the server: one that every program resolves alike, so that it may be given to devices and browsers. */
export const STAGE_HOST = 'localhost'

/** A whole server behind nginx with the page that browsers load, on ports of this machine. */
export interface Stage {
  /** For devices. Controllers may present any key, so that it is theirs to find a wrong one out. */
  readonly server: ServerSettings & { readonly port: number; readonly key: string }
  /** Path of the certificate that a browser is given to accept the server's. */
  readonly authority: string
  readonly httpPort: number
  readonly httpsPort: number
  /** May be called twice. */
  close(): Promise<void>
}
