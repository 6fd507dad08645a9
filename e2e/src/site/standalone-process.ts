import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, resolve } from 'node:path'
import type { Site } from './site.ts'
import { waitUntil } from './wait-until.ts'

const MAIN = resolve(import.meta.dirname, '../../../services/standalone/dist/main.js')
const STARTED_WITHIN_MS = 40_000

/** `npm start` without npm, in the folder and on the ports of a site that has no programs of its own. */
export async function startStandalone(
  { folder, ports }: Site,
  env: Readonly<Record<string, string>> = {},
): Promise<{ stop(): Promise<void> }> {
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, DATA_DIR: folder, PORT: `${ports.main}`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  await waitUntil(
    'npm start is ready',
    () => {
      if (child.exitCode !== null) throw new Error(`npm start ended with ${child.exitCode}:\n${output}`)
      return output.includes('Tryst is ready')
    },
    STARTED_WITHIN_MS,
  )
  return {
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
