import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify, stripVTControlCharacters } from 'node:util'
import type { Controller, ControllerOptions, Device, DeviceOptions, ServerSettings } from '@tryst/client'
import type { StartedDockerComposeEnvironment } from 'testcontainers'
import { freeBase } from '../site/free-ports.ts'
import { Host } from '../site/host.ts'
import { composeEnvironment } from './engine.ts'

const run = promisify(execFile)

export const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url))
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024
const HEALTHY_WITHIN_MS = 120_000
const STOP_WITHIN_MS = 3_000
/** From the ID server's port: those of the programs, and behind them nginx's. */
const DISTANCES = [-2, -1, 0, 1, 2, 3, 4, 5]

export interface StackOptions {
  /** Compose files, by their names in the repository. Default: docker-compose.yml. */
  readonly files?: readonly string[]
  /** Where the files are and relative paths start. Default: the repository. */
  readonly folder?: string
  readonly env?: Readonly<Record<string, string>>
  /** Name under which clients reach it, from this machine. */
  readonly publicHost?: string
  /** The ID server's port. Default: one of which nothing around it is used. */
  readonly port?: number
}

/** One container, as the engine shows it. */
export interface ContainerState {
  readonly Service: string
  readonly State: string
  readonly Health: string
  readonly ExitCode: number
}

export interface ContainerSettings {
  readonly user: string
  readonly readOnly: boolean
  readonly dropped: readonly string[] | null
  readonly added: readonly string[] | null
  readonly privileged: boolean
}

/** What of `docker inspect` is looked at. */
interface Inspection {
  readonly Config: { readonly User: string }
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean
    readonly CapDrop: readonly string[] | null
    readonly CapAdd: readonly string[] | null
    readonly Privileged: boolean
  }
}

/** A server in containers of its own, with ports and networks that nothing else has, reached from outside. */
export class ComposeStack extends Host {
  readonly project = `trystest${randomBytes(4).toString('hex')}`
  #started: StartedDockerComposeEnvironment | undefined

  private constructor(
    /** The ID server's port. */
    readonly port: number,
    readonly httpPort: number,
    readonly httpsPort: number,
    readonly publicHost: string,
    private readonly options: StackOptions,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    super()
  }

  /** Chooses ports; nothing runs yet. */
  static async prepare(options: StackOptions = {}): Promise<ComposeStack> {
    const port = options.port ?? (await freeBase(DISTANCES))
    const [httpPort, httpsPort] = [port + 4, port + 5]
    const publicHost = options.publicHost ?? '127.0.0.1'
    return new ComposeStack(port, httpPort, httpsPort, publicHost, options, {
      PUBLIC_HOST: publicHost,
      ...portVariables(port),
      ...{ HTTP_PORT: `${httpPort}`, HTTPS_PORT: `${httpsPort}` },
      NETWORK_PREFIX: `172.31.${10 + (Math.floor(port / 10) % 240)}`,
      STOP_GRACE_PERIOD: '20s',
      DRAIN_SECONDS: '0',
      CERTIFICATE_CHECK_SECONDS: '1',
      ...options.env,
    })
  }

  /** `docker compose` with the stack's files. @throws Error with what it printed */
  async compose(...args: readonly string[]): Promise<string> {
    const { files = ['docker-compose.yml'], folder = REPOSITORY } = this.options
    const words = ['compose', '-p', this.project, ...files.flatMap((file) => ['-f', file]), ...args]
    const { stdout } = await run('docker', words, {
      cwd: folder,
      env: { ...process.env, ...this.env, COMPOSE_ANSI: 'never' },
      maxBuffer: MAX_OUTPUT_BYTES,
    })
    return stdout
  }

  /** The images, as the repository is now; where TRYST_TAG names some that were made before, those. */
  async build(): Promise<void> {
    if (process.env.TRYST_TAG === undefined) await this.compose('build', '--quiet')
  }

  /** Until every container is healthy. @throws Error when one is not; nothing is left of the stack then, not even logs */
  async up(): Promise<void> {
    const { files = ['docker-compose.yml'], folder = REPOSITORY } = this.options
    this.#started = await new (await composeEnvironment())(folder, [...files])
      .withProjectName(this.project)
      .withEnvironment({ ...this.env, COMPOSE_ANSI: 'never' })
      .withAutoCleanup(false)
      .withStartupTimeout(HEALTHY_WITHIN_MS)
      .up()
  }

  /** Takes the containers down; what they have kept in volumes stays. */
  async down(): Promise<void> {
    await this.#started?.down({ removeVolumes: false, timeout: STOP_WITHIN_MS })
    this.#started = undefined
  }

  async states(): Promise<readonly ContainerState[]> {
    const lines = (await this.compose('ps', '--all', '--format', 'json')).trim().split('\n')
    return lines.map((line) => JSON.parse(line) as ContainerState)
  }

  /** What a program in a running container prints. */
  exec(service: string, ...command: readonly string[]): Promise<string> {
    return this.compose('exec', '--no-TTY', service, ...command)
  }

  async logs(...services: readonly string[]): Promise<string> {
    return stripVTControlCharacters(await this.compose('logs', '--no-color', '--no-log-prefix', ...services))
  }

  async container(service: string): Promise<string> {
    return (await this.compose('ps', '--all', '--quiet', service)).trim()
  }

  /** Its address in the network of those whom clients reach. */
  async addressOf(service: string): Promise<string> {
    const { stdout } = await run('docker', ['inspect', await this.container(service)])
    const [{ NetworkSettings }] = JSON.parse(stdout) as [Inspection]
    return NetworkSettings.Networks[`${this.project}_front`]?.IPAddress ?? ''
  }

  /** What a container may do, as the engine has it. */
  async settings(service: string): Promise<ContainerSettings> {
    const { stdout } = await run('docker', ['inspect', await this.container(service)])
    const [{ Config, HostConfig }] = JSON.parse(stdout) as [Inspection]
    const { ReadonlyRootfs, CapDrop, CapAdd, Privileged } = HostConfig
    return { user: Config.User, readOnly: ReadonlyRootfs, dropped: CapDrop, added: CapAdd, privileged: Privileged }
  }

  async key(): Promise<string> {
    return (await this.exec('api', 'cat', '/data/id_ed25519.pub')).trim()
  }

  /** What the server's own certificate is signed by. */
  authority(): Promise<string> {
    return this.exec('nginx', 'cat', '/etc/nginx/tls/ca.pem')
  }

  async server(): Promise<ServerSettings> {
    return { host: this.publicHost, port: this.port, key: await this.key() }
  }

  /** A device that is online. */
  async device(options: Partial<DeviceOptions> = {}): Promise<Device> {
    return this.welcomeDevice({ ...options, server: options.server ?? (await this.server()) })
  }

  async controller(options: Partial<ControllerOptions> = {}): Promise<Controller> {
    return this.welcomeController({ ...options, server: options.server ?? (await this.server()) })
  }

  /** Removes everything that the stack has made. */
  async remove(): Promise<void> {
    await this.dismissGuests()
    await this.#started?.down({ removeVolumes: true, timeout: STOP_WITHIN_MS })
    this.#started = undefined
    // And what was begun otherwise.
    await this.compose('down', '--volumes', '--remove-orphans', '--timeout', '3')
  }
}

/** The published ports in the words of `.env`, which cannot calculate. */
export const portVariables = (base: number): Readonly<Record<string, string>> => ({
  PORT_BASE: `${base}`,
  PORT_API: `${base - 2}`,
  PORT_NAT_TEST: `${base - 1}`,
  PORT_RELAY: `${base + 1}`,
  PORT_WS_ID: `${base + 2}`,
  PORT_WS_RELAY: `${base + 3}`,
})
