import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ComposeStack } from '../containers/compose-stack.ts'
import { STAGE_HOST, type Stage } from './stage.ts'
import { WebPage } from './web-page.ts'

/** Where the page lies in nginx's container. */
const PAGE_FOLDER = '/usr/share/nginx/web'

/** The containers of docker-compose.yml, with a page of ours in nginx. */
export async function startContainers(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'tryst-compose-'))
  const page = new WebPage()
  const override = join(folder, 'override.json')
  writeFileSync(override, JSON.stringify(withPage(page, folder)))
  const files = ['docker-compose.yml', override]
  const stack = await ComposeStack.prepare({ files, publicHost: STAGE_HOST, env: { KEY: '' } })
  const remove = async () => {
    await stack.remove()
    page.remove()
    rmSync(folder, { recursive: true, force: true })
  }
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= remove()
    return closed
  }
  try {
    await stack.build()
    await stack.up()
    const authority = join(folder, 'ca.pem')
    writeFileSync(authority, await stack.authority())
    const { httpPort, httpsPort } = stack
    const server = { host: '127.0.0.1', port: stack.port, key: await stack.key() }
    return { server, authority, httpPort, httpsPort, close }
  } catch (error) {
    await close()
    throw error
  }
}

function withPage(page: WebPage, folder: string) {
  const locations = join(folder, 'locations.d')
  mkdirSync(locations)
  writeFileSync(join(locations, 'page.conf'), page.locationsAt(PAGE_FOLDER))
  const volumes = [`${locations}:/etc/nginx/locations.d:ro`, `${page.folder}:${PAGE_FOLDER}:ro`]
  return { services: { nginx: { volumes } } }
}
