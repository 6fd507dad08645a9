import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'

const MAIN = join(import.meta.dirname, '..', 'main.mjs')
const SMALL = ['--devices', '500', '--seconds', '0.5', '--rounds', '1']
const TIMEOUT_MS = 90_000

const isLinux = process.platform === 'linux'
const describeOnLinux = isLinux ? describe : describe.skip

describeOnLinux(
  `npm run bench${isLinux ? '' : ' (skipped: processor time is read from /proc; run it on Linux)'}`,
  () => {
    let scratch: string

    beforeEach(() => {
      scratch = mkdtempSync(join(tmpdir(), 'bench-test-'))
    })

    afterEach(() => {
      rmSync(scratch, { recursive: true, force: true })
    })

    const start = (...more: string[]): ChildProcess =>
      spawn(process.execPath, [MAIN, ...SMALL, ...more], {
        env: { ...process.env, TMPDIR: scratch },
        stdio: ['ignore', 'pipe', 'pipe'],
      })

    // Those of several nodes take minutes.
    it.each([
      {
        only: 'id',
        measured: [
          'registrations',
          'RSS per registered device',
          'heartbeats',
          'punches, one connection each',
          'punches, kept connection',
          'punches, encrypted, one connection each',
        ],
      },
      {
        only: 'relay',
        measured: ['relay, 1 session', 'relay, 16 sessions', 'round trip, added p50', 'round trip, added p99'],
      },
    ])(
      'measures every figure of the built server ($only) beside its baseline, then ends and leaves nothing behind',
      async ({ only, measured }) => {
        const bench = start('--only', only)
        const [output, errors, [status]] = await Promise.all([
          textOf(bench.stdout),
          textOf(bench.stderr),
          once(bench, 'exit'),
        ])
        expect(errors).not.toMatch(/wrong or missing|failed/)
        const figures = output
          .split('\n')
          .flatMap((line) => (line.includes(' | ') ? [line.split(' | ')[0]?.trim()] : []))
        expect(figures).toEqual(['figure', ...measured])
        expect(output).not.toContain('NaN')
        expect(status).toBe(0)
        expect(readdirSync(scratch)).toEqual([])
        expect(programsWorkingIn(scratch)).toEqual([])
      },
      TIMEOUT_MS,
    )

    it(
      'takes its servers along when it is stopped',
      async () => {
        const bench = start('--only', 'relay')
        await untilPrinted(bench, 'relay, 1 session')
        expect(programsWorkingIn(scratch)).toHaveLength(2)
        bench.kill('SIGTERM')
        const [status] = await once(bench, 'exit')
        expect(status).toBe(1)
        await until(() => programsWorkingIn(scratch).length === 0, 'servers still run')
        expect(readdirSync(scratch)).toEqual([])
      },
      TIMEOUT_MS,
    )
  },
)

const textOf = (stream: ChildProcess['stdout']) => (stream ? text(stream) : '')

/** Ids of the processes whose working directory lies in this folder: each server has one of its own. */
function programsWorkingIn(folder: string): string[] {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false
    try {
      return readlinkSync(`/proc/${entry}/cwd`).startsWith(folder)
    } catch {
      // Gone by now, or another user's.
      return false
    }
  })
}

async function untilPrinted(child: ChildProcess, wanted: string): Promise<void> {
  let printed = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  await until(() => printed.includes(wanted), `'${wanted}' was not printed`)
}

async function until(condition: () => boolean, missing: string): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(missing)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
