import { once } from 'node:events'
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import type { Administration } from '@tryst/device-admin'
import type { Logger } from '@tryst/service'
import type { FastifyInstance } from 'fastify'

export interface AdminSocketOptions {
  /** `none`: there is no socket. */
  readonly path: string
  readonly administration: Administration
  readonly log: Logger
}

/** Operators and the API; each asks one thing after the other. */
const MAX_CONNECTIONS = 64
const REQUEST_MS = 10_000
/** Only the user of the server. */
const OWNER_ONLY = 0o600
const NOT_FOR_GROUP_AND_OTHERS = 0o177

/**
 * Where the operator's commands and the API reach this server: HTTP on a Unix socket in its folder (docs/access.md).
 * What answers is loaded with the first question.
 */
export class AdminSocket {
  #app: Promise<FastifyInstance> | undefined

  private constructor(
    private readonly server: Server,
    private readonly options: AdminSocketOptions,
  ) {}

  /** Undefined where there is to be none, or can be none: that is no reason not to serve devices. */
  static async open(options: AdminSocketOptions): Promise<AdminSocket | undefined> {
    const { path, log } = options
    if (path === 'none') return undefined
    const { createServer } = process.getBuiltinModule('node:http')
    const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS })
    server.maxConnections = MAX_CONNECTIONS
    const socket = new AdminSocket(server, options)
    server.on('request', (request, response) => {
      socket.#loadApp().then(
        (app) => app.routing(request, response),
        (err) => {
          log.error({ err }, 'the admin socket cannot answer')
          response.destroy()
        },
      )
    })
    try {
      if (!(await listenOnFree(server, path))) {
        log.info({ path }, 'another server answers at the admin socket')
        return undefined
      }
    } catch (err) {
      log.warn(
        { err, path, remedy: 'name another place in ADMIN_SOCKET, or none' },
        'no admin socket: operators reach this server only through its state',
      )
      return undefined
    }
    server.on('error', (err) => log.error({ err }, 'admin socket error'))
    server.unref()
    return socket
  }

  /** Removes the socket. May be called twice. */
  async close(): Promise<void> {
    if (!this.server.listening) return
    const closed = once(this.server, 'close')
    this.server.close()
    this.server.closeAllConnections()
    await closed
    await (await this.#app)?.close()
  }

  #loadApp(): Promise<FastifyInstance> {
    this.#app ??= import('./admin-routes.ts').then(({ createAdminApp }) => createAdminApp(this.options))
    return this.#app
  }
}

/** What a server has left that ended without a word is replaced. False: somebody answers there. */
async function listenOnFree(server: Server, path: string): Promise<boolean> {
  try {
    await listen(server, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    // Whatever else it is, it is not ours to remove.
    if (!lstatSync(path).isSocket()) throw error
    if (await answers(path)) return false
    unlinkSync(path)
    await listen(server, path)
    return true
  }
}

async function listen(server: Server, path: string): Promise<void> {
  // Nobody else may open it, not even in the moment before its mode is set.
  const before = process.umask(NOT_FOR_GROUP_AND_OTHERS)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
  await once(server, 'listening')
  chmodSync(path, OWNER_ONLY)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
