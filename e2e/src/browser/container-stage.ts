import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { portVariables } from '../containers/compose-stack.ts'
import { freePort, freePorts } from '../site/free-ports.ts'
import { STAGE_HOST, type Stage } from './stage.ts'
import { WebPage } from './web-page.ts'

const REPOSITORY = resolve(import.meta.dirname, '../../..')
/** Where the page lies in nginx's container. */
const PAGE_FOLDER = '/usr/share/nginx/web'

/** Whether there is an engine with Compose. */
export const engineAnswers = (): boolean =>
  spawnSync('docker', ['info'], { timeout: 10_000 }).status === 0 &&
  spawnSync('docker', ['compose', 'version'], { timeout: 10_000 }).status === 0

/** The containers of docker-compose.yml, with a page of ours in nginx. */
export async function startContainers(): Promise<Stage> {
  const ports = await freePorts()
  const [httpPort, httpsPort] = [await freePort(), await freePort()]
  const folder = mkdtempSync(join(tmpdir(), 'tryst-compose-'))
  const page = new WebPage()
  const override = join(folder, 'override.json')
  writeFileSync(override, JSON.stringify(withPage(page, folder)))
  const files = ['-f', join(REPOSITORY, 'docker-compose.yml'), '-f', override]
  const compose = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(
      'docker',
      ['compose', '-p', `tryst-browser-${ports.main}`, ...files, ...args],
      {
        cwd: REPOSITORY,
        env: {
          PATH: process.env.PATH ?? '',
          HOME: process.env.HOME ?? '',
          PUBLIC_HOST: STAGE_HOST,
          KEY: '',
          ...portVariables(ports.main),
          HTTP_PORT: `${httpPort}`,
          HTTPS_PORT: `${httpsPort}`,
          // A network of its own beside other stacks of this machine.
          NETWORK_PREFIX: `172.31.${10 + (Math.floor(ports.main / 10) % 240)}`,
          STOP_GRACE_PERIOD: '2s',
        },
        maxBuffer: 16 << 20,
      },
    )
    return stdout
  }
  const close = async () => {
    await compose('down', '--volumes', '--timeout', '2')
    page.remove()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await compose('up', '--build', '--detach', '--wait')
    const authority = join(folder, 'ca.pem')
    writeFileSync(authority, await compose('exec', '-T', 'nginx', 'cat', '/etc/nginx/tls/ca.pem'))
    const key = (await compose('exec', '-T', 'hbbs', 'cat', '/data/id_ed25519.pub')).trim()
    return { server: { host: '127.0.0.1', port: ports.main, key }, authority, httpPort, httpsPort, close }
  } catch (error) {
    const logs = await compose('logs', '--tail', '20').catch(() => '')
    await close()
    throw new Error(`the containers did not start: ${(error as Error).message}\n${logs}`)
  }
}

function withPage(page: WebPage, folder: string) {
  const locations = join(folder, 'locations.d')
  mkdirSync(locations)
  writeFileSync(join(locations, 'page.conf'), page.locationsAt(PAGE_FOLDER))
  const volumes = [`${locations}:/etc/nginx/locations.d:ro`, `${page.folder}:${PAGE_FOLDER}:ro`]
  return { services: { nginx: { volumes } } }
}
