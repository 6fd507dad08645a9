import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const PAGE_PATH = '/web/'

/** Compiling WebAssembly, which libsodium is, needs a word of its own; no other code than the page's may run. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:"

/** A page with the browser build of the client, as a folder and as the lines by which nginx serves it. */
export class WebPage {
  readonly folder = mkdtempSync(join(tmpdir(), 'tryst-page-'))

  constructor() {
    cpSync(join(import.meta.dirname, 'page'), this.folder, { recursive: true })
    cpSync(fileURLToPath(import.meta.resolve('@tryst/client/browser/bundle')), join(this.folder, 'client.js'))
    // In a container nginx is another user.
    chmodSync(this.folder, 0o755)
  }

  /** @param folder where nginx sees this page's */
  locationsAt(folder: string): string {
    return `location ${PAGE_PATH} {
    alias ${folder}/;
    add_header Content-Security-Policy "${POLICY}" always;
}
`
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
