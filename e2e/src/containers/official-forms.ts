import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Compose files as operators of the official images have them, with nothing changed but the image's name and, so that
 * several stand beside each other on one machine, the ports: the programs keep theirs in the container.
 */
export interface OfficialForm {
  /**
   * The classic image: a service for each program, files in /root, with ports published or in the host's network; the
   * s6 image: both in one, files in /data.
   */
  readonly kind: 'classic' | 'classic in the host network' | 's6'
  readonly port: number
  readonly tag: string
  /** What the operator set, in the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Compose lines more for every service, indented by four. */
  readonly more?: string
}

/** A folder with the compose file, whose `./data` the host's root owns. */
export class OfficialFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'tryst-official-'))

  constructor(form: OfficialForm) {
    mkdirSync(join(this.path, 'data'))
    writeFileSync(join(this.path, 'docker-compose.yml'), FORMS[form.kind](form))
  }

  get data(): string {
    return join(this.path, 'data')
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

function environment(env: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries(env).map(([name, value]) => `      - "${name}=${value}"\n`)
  return lines.length === 0 ? '' : `    environment:\n${lines.join('')}`
}

const classic = ({ port, tag, env, more = '' }: OfficialForm): string => `services:
  hbbs:
    container_name: hbbs-${port}
    ports:
      - ${port - 1}:21115
      - ${port}:21116
      - ${port}:21116/udp
      - ${port + 2}:21118
    image: tryst/hbbs:${tag}
    command: hbbs -r 127.0.0.1:${port + 1}
${environment(env)}    volumes:
      - ./data:/root
    depends_on:
      - hbbr
    restart: unless-stopped
${more}
  hbbr:
    container_name: hbbr-${port}
    ports:
      - ${port + 1}:21117
      - ${port + 3}:21119
    image: tryst/hbbr:${tag}
    command: hbbr
${environment(env)}    volumes:
      - ./data:/root
    restart: unless-stopped
${more}`

const s6 = ({ port, tag, env, more = '' }: OfficialForm): string => `services:
  rustdesk-server:
    container_name: rustdesk-server-${port}
    ports:
      - ${port - 1}:21115
      - ${port}:21116
      - ${port}:21116/udp
      - ${port + 1}:21117
      - ${port + 2}:21118
      - ${port + 3}:21119
    image: tryst/hbbs:${tag}
    command: standalone
${environment({ RELAY: `127.0.0.1:${port + 1}`, ENCRYPTED_ONLY: '1', ...env })}    volumes:
      - ./data:/data
    restart: unless-stopped
${more}`

/** The programs' own ports are the machine's here. */
const classicInHostNetwork = ({ port, tag, env, more = '' }: OfficialForm): string => `services:
  hbbs:
    container_name: hbbs-${port}
    image: tryst/hbbs:${tag}
    command: hbbs
${environment({ PORT: `${port}`, ...env })}    volumes:
      - ./data:/root
    network_mode: "host"
    depends_on:
      - hbbr
    restart: unless-stopped
${more}
  hbbr:
    container_name: hbbr-${port}
    image: tryst/hbbr:${tag}
    command: hbbr
${environment({ PORT: `${port}`, ...env })}    volumes:
      - ./data:/root
    network_mode: "host"
    restart: unless-stopped
${more}`

const FORMS = { classic, 'classic in the host network': classicInHostNetwork, s6 } as const
