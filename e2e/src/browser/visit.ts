import type { ConnectOptions, ServerSettings } from '@tryst/client/browser'
import type { Page } from 'playwright-core'
import type { Transfer } from '../site/exchange.ts'

export interface Visit {
  readonly server: ServerSettings
  readonly deviceId: string
  readonly options: Omit<ConnectOptions, 'signal'>
  /** How much is sent and received, at once. */
  readonly bytes: number
}

export type VisitOutcome =
  | {
      readonly kind: 'session'
      readonly path: string
      readonly isEncrypted: boolean
      readonly hostname: string | undefined
      readonly transfer: Transfer
    }
  | { readonly kind: 'refused'; readonly failure: string; readonly text: string }

/** Has the page open a session with a device, move data and close. The device has to send as much as it receives. */
export const visit = (page: Page, what: Visit): Promise<VisitOutcome> => page.evaluate(visitInPage, what)

/** Runs in the page, so it uses nothing from around it. */
async function visitInPage({ server, deviceId, options, bytes }: Visit): Promise<VisitOutcome> {
  const { Controller, ConnectError } = (
    globalThis as unknown as { trystClient: typeof import('@tryst/client/browser') }
  ).trystClient

  const hexDigest = async (data: Uint8Array<ArrayBuffer>) =>
    Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', data)), (byte) =>
      byte.toString(16).padStart(2, '0'),
    ).join('')

  const randomData = () => {
    const data = new Uint8Array(bytes)
    // The most that browsers draw at once.
    const piece = 65_536
    for (let at = 0; at < bytes; at += piece) crypto.getRandomValues(data.subarray(at, at + piece))
    return data
  }

  const controller = new Controller({ server, name: 'browser' })
  try {
    const session = await controller.connect(deviceId, options)
    const received = new Uint8Array(bytes)
    let at = 0
    const complete = new Promise<void>((resolve, reject) => {
      session.onData = (chunk) => {
        received.set(chunk, at)
        at += chunk.length
        if (at === bytes) resolve()
      }
      session.ended.then((end) => reject(new Error(`the session ended (${end.kind}) after ${at} bytes`)), reject)
    })
    const data = randomData()
    await Promise.all([session.write(data), complete])
    return {
      kind: 'session',
      path: session.path,
      isEncrypted: session.isEncrypted,
      hostname: session.peerInfo?.hostname ?? undefined,
      transfer: { sent: await hexDigest(data), received: await hexDigest(received) },
    }
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error
    return { kind: 'refused', failure: error.failure, text: error.message }
  } finally {
    await controller.close()
  }
}
