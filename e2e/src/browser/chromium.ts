import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { program } from './programs.ts'

export interface ChromiumOptions {
  /** Path of the certificate of an authority that the browser is to trust. Default: only those it knows. */
  readonly authority?: string
  /** Where connections go instead: `localhost:443` to `127.0.0.1:40443`, say. */
  readonly redirections: Readonly<Record<string, string>>
}

/** A headless Chromium with a home of its own. It verifies certificates as it does everywhere. */
export class Chromium {
  private constructor(
    readonly page: Page,
    /** What the browser complained of: refused scripts and connections, failures of the page. */
    readonly complaints: readonly string[],
    private readonly home: string,
  ) {}

  static async start({ authority, redirections }: ChromiumOptions): Promise<Chromium> {
    const home = mkdtempSync(join(tmpdir(), 'tryst-chromium-'))
    trustIn(home, authority)
    const rules = Object.entries(redirections).map(([from, to]) => `MAP ${from} ${to}`)
    const browser = await chromium.launch({
      executablePath: program('chromium'),
      env: { PATH: process.env.PATH ?? '', HOME: home },
      // Containers allow no sandbox, and have little shared memory.
      args: ['--no-sandbox', '--disable-dev-shm-usage', `--host-resolver-rules=${rules.join(',')}`],
    })
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    return new Chromium(page, complaints, home)
  }

  async close(): Promise<void> {
    await this.page.context().browser()?.close()
    rmSync(this.home, { recursive: true, force: true })
  }
}

/** Makes the store of certificates that Chromium reads, with the authority in it. */
function trustIn(home: string, authority: string | undefined): void {
  const folder = join(home, '.pki', 'nssdb')
  mkdirSync(folder, { recursive: true })
  const certutil = (...args: string[]) => execFileSync(program('certutil'), ['-d', `sql:${folder}`, ...args])
  certutil('-N', '--empty-password')
  // C: trusted to sign servers' certificates, and nothing else.
  if (authority !== undefined) certutil('-A', '-n', 'Tryst', '-t', 'C,,', '-i', authority)
}
