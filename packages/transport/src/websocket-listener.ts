import { IdleWatch } from './idle-watch.ts'
import type { ListenPlace } from './listen-everywhere.ts'
import { WebSocketConnection } from './websocket-connection.ts'
import { WebSocketUpgrades } from './websocket-upgrades.ts'

/** What becomes of the connections of a WebSocket listener. */
export interface WebSocketHandler {
  /** A client was let in; false refuses it, without a call of `onClose`. */
  onOpen(connection: WebSocketConnection): boolean
  /** One binary message. */
  onMessage(connection: WebSocketConnection, payload: Uint8Array): void
  /** The connection is gone; called once for each that `onOpen` took. */
  onClose(connection: WebSocketConnection): void
}

export interface WebSocketListenerOptions extends ListenPlace {
  /** A longer message ends the connection when its header has arrived. */
  readonly maxMessageBytes: number
  /** Until the end of the upgrade, and again until the first message, however slowly they trickle. */
  readonly firstMessageTimeoutMs: number
  /** Without any message, a ping included, after the first. */
  readonly idleTimeoutMs: number
  /** Networks of the reverse proxies whose word about the client's address is taken. */
  readonly trustedProxies: readonly string[]
  readonly handler: WebSocketHandler
  /** An error of the listener while it runs. */
  readonly onError: (error: Error) => void
}

/** A listener for WebSocket clients of the ID server. */
export class WebSocketListener {
  /** Those that have sent a message, and those that have not. */
  readonly #active: IdleWatch<WebSocketConnection>
  readonly #fresh: IdleWatch<WebSocketConnection>
  /** Those that may be idle. */
  readonly #kept = new Set<WebSocketConnection>()
  #upgrades: WebSocketUpgrades | undefined
  #closing: Promise<void> | undefined
  #whenEmpty: (() => void) | undefined

  private constructor(private readonly options: WebSocketListenerOptions) {
    this.#active = new IdleWatch(options.idleTimeoutMs, (connection) => connection.destroy())
    this.#fresh = new IdleWatch(options.firstMessageTimeoutMs, (connection) => connection.destroy())
  }

  /** @throws the listen error of Node */
  static async open(options: WebSocketListenerOptions): Promise<WebSocketListener> {
    const listener = new WebSocketListener(options)
    listener.#upgrades = await WebSocketUpgrades.open({
      ...options,
      upgradeTimeoutMs: options.firstMessageTimeoutMs,
      refuses: () => false,
      onUpgraded: (upgraded) => {
        const connection = new WebSocketConnection(upgraded, listener.#connectionListener)
        if (options.handler.onOpen(connection)) listener.#fresh.touch(connection)
        else connection.destroy()
      },
    })
    return listener
  }

  get port(): number {
    return this.#upgrades?.port ?? 0
  }

  /** Ends everything. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#upgrades?.close()
    const connections = [...this.#active.all, ...this.#fresh.all, ...this.#kept]
    for (const connection of connections) connection.close()
    if (connections.length > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve
      })
    }
    this.#active.close()
    this.#fresh.close()
  }

  readonly #connectionListener = {
    onMessage: (connection: WebSocketConnection, payload: Uint8Array): void => {
      this.#fresh.drop(connection)
      if (!this.#kept.has(connection)) this.#active.touch(connection)
      this.options.handler.onMessage(connection, payload)
    },
    onActivity: (connection: WebSocketConnection): void => {
      // Before the first message only that message counts.
      if (this.#active.drop(connection)) this.#active.touch(connection)
    },
    onKeep: (connection: WebSocketConnection): void => {
      if (this.#active.drop(connection) || this.#fresh.drop(connection)) this.#kept.add(connection)
    },
    onClose: (connection: WebSocketConnection): void => {
      const isOurs = this.#fresh.drop(connection) || this.#active.drop(connection) || this.#kept.delete(connection)
      if (isOurs) this.options.handler.onClose(connection)
      if (this.#active.size + this.#fresh.size + this.#kept.size === 0) this.#whenEmpty?.()
    },
  }
}
