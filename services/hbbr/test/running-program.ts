import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { until } from './peers.ts'

const PROGRAM = fileURLToPath(new URL('../bin/hbbr', import.meta.url))

/** Two ports that are free now, the second two above the first. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if ((await isFree(port)) && (await isFree(port + 2))) return port
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })

/** The built executable in a folder of its own. */
export class RunningProgram {
  readonly lines: string[] = []
  errors = ''
  status: number | undefined

  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly child: ChildProcessByStdio<null, Readable, Readable>,
  ) {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter(Boolean)) {
        this.lines.push(line.startsWith('{') ? JSON.parse(line).msg : line)
      }
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    child.once('close', (code, signal) => {
      this.status = code ?? (signal ? -1 : 0)
    })
  }

  static async start(
    options: {
      readonly args?: readonly string[]
      readonly env?: NodeJS.ProcessEnv
      readonly files?: Readonly<Record<string, string>>
      readonly port?: number
    } = {},
  ): Promise<RunningProgram> {
    const port = options.port ?? (await freePort())
    const folder = await mkdtemp(join(tmpdir(), 'hbbr-'))
    for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, name), text)
    const child = spawn(PROGRAM, ['-p', String(port), ...(options.args ?? [])], {
      cwd: folder,
      // Nothing but a Node that is new enough.
      env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return new RunningProgram(port, folder, child)
  }

  async listening(): Promise<this> {
    await until(`a line "Start" (${this.errors})`, () => this.lines.includes('Start') || this.status !== undefined)
    if (this.status !== undefined)
      throw new Error(`hbbr ended with ${this.status}: ${this.errors} ${this.lines.join('\n')}`)
    return this
  }

  get ports(): { readonly tcp: number; readonly webSocket: number } {
    return { tcp: this.port, webSocket: this.port + 2 }
  }

  /** Memory in use, in bytes; Linux only. */
  get rssBytes(): number {
    const pages = readFileSync(`/proc/${this.child.pid}/statm`, 'utf8').split(' ')[1]
    return Number(pages) * 4096
  }

  async ended(limitMs = 15_000): Promise<number> {
    await until('the end of the program', () => this.status !== undefined, limitMs)
    return this.status as number
  }

  async remove(): Promise<void> {
    if (this.status === undefined) {
      this.child.kill('SIGKILL')
      await this.ended()
    }
    await rm(this.folder, { recursive: true })
  }
}
