import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Controller, ControllerOptions, Device, DeviceOptions, ServerSettings } from '@tryst/client'
import { freePorts, type SitePorts } from './free-ports.ts'
import { Host } from './host.ts'
import { type ProgramName, type ServiceCommand, ServiceProcess } from './service-process.ts'

/** The address at which the servers of a site are reached. */
export const SITE_HOST = '127.0.0.1'

const BOTH: readonly ProgramName[] = ['hbbs', 'hbbr']

export interface ServiceSettings {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface SiteOptions {
  /** Undefined: with the settings of a site. */
  readonly hbbs?: ServiceSettings
  readonly hbbr?: ServiceSettings
  readonly api?: ServiceSettings
  /** Which servers there are. Default: hbbs and hbbr. */
  readonly programs?: readonly ProgramName[]
  /** A folder of which the site gets a copy. Default: an empty one. */
  readonly dataFolder?: string
}

/** An ID server and a relay in a folder of their own, as one person would run them, with whoever connects to them. */
export class Site extends Host {
  readonly #services = new Map<ProgramName, ServiceProcess>()

  private constructor(
    readonly folder: string,
    readonly ports: SitePorts,
    private readonly options: SiteOptions,
  ) {
    super()
  }

  static async start(options: SiteOptions = {}): Promise<Site> {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-site-'))
    if (options.dataFolder) copyWritable(options.dataFolder, folder)
    const site = new Site(folder, await freePorts(), options)
    try {
      // The ID server first: it makes the key.
      for (const program of options.programs ?? BOTH) await site.start(program)
      return site
    } catch (error) {
      await site.close()
      throw error
    }
  }

  get hbbs(): ServiceProcess {
    return this.#service('hbbs')
  }

  get api(): ServiceProcess {
    return this.#service('api')
  }

  get hbbr(): ServiceProcess {
    return this.#service('hbbr')
  }

  /** The public key that users enter. */
  get key(): string {
    return readFileSync(join(this.folder, 'id_ed25519.pub'), 'utf8').trim()
  }

  /** What a user enters into a client. */
  get server(): ServerSettings {
    return { host: SITE_HOST, port: this.ports.main, key: this.key }
  }

  /** Starts a server that is not running. @param settings instead of those of the site's options */
  async start(program: ProgramName, settings?: ServiceSettings): Promise<ServiceProcess> {
    const service = await ServiceProcess.start(this.command(program, settings))
    this.#services.set(program, service)
    return service
  }

  async restart(program: ProgramName): Promise<ServiceProcess> {
    await this.#service(program).stop()
    return this.start(program)
  }

  command(program: ProgramName, settings = this.options[program] ?? {}): ServiceCommand {
    const { args = [], env = {} } = settings
    const keyArgs = program === 'hbbr' ? ['-k', '_'] : []
    const common = { PORT: `${this.ports.main}`, PUBLIC_HOST: SITE_HOST, LOG_FORMAT: 'json' }
    return { program, args: [...keyArgs, ...args], env: { ...common, ...env }, folder: this.folder }
  }

  /** A device of this site that is online. */
  device(options: Partial<DeviceOptions> = {}): Promise<Device> {
    return this.welcomeDevice({ natType: 'asymmetric', ...options, server: options.server ?? this.server })
  }

  controller(options: Partial<ControllerOptions> = {}): Controller {
    return this.welcomeController({ ...options, server: options.server ?? this.server })
  }

  async close(): Promise<void> {
    await this.dismissGuests()
    await Promise.all([...this.#services.values()].map((service) => service.stop()))
    rmSync(this.folder, { recursive: true, force: true })
  }

  #service(program: ProgramName): ServiceProcess {
    const service = this.#services.get(program)
    if (!service) throw new Error(`this site has no ${program}`)
    return service
  }
}

function copyWritable(from: string, to: string): void {
  cpSync(from, to, { recursive: true })
  for (const name of readdirSync(to)) chmodSync(join(to, name), 0o600)
}
