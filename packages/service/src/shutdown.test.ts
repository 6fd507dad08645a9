import { EventEmitter, once } from 'node:events'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createLogger } from './logger.ts'
import { installShutdown, type Shutdown } from './shutdown.ts'

class FakeProcess extends EventEmitter {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
    this.emit('exited')
  }
}

const installed: Shutdown[] = []
afterEach(() => {
  for (const shutdown of installed.splice(0)) shutdown.uninstall()
})

function setUp(close: () => Promise<void>) {
  const lines: string[] = []
  const log = createLogger({
    service: 'hbbs',
    level: 'info',
    format: 'json',
    destination: { write: (line) => void lines.push(line) },
  })
  const process = new FakeProcess()
  const shutdown = installShutdown({ log, close, process })
  installed.push(shutdown)
  return { lines, process, shutdown }
}

describe('a process', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'])('that gets %s closes and ends with 0', async (signal) => {
    let closed = 0
    const { process } = setUp(async () => void closed++)
    process.emit(signal)
    await once(process, 'exited')
    expect(closed).toBe(1)
    expect(process.exits).toEqual([0])
  })

  it('that is told twice ends at once with 1, and closes once', async () => {
    let closed = 0
    const { process } = setUp(() => {
      closed++
      return new Promise(() => {})
    })
    process.emit('SIGTERM')
    expect(process.exits).toEqual([])
    process.emit('SIGINT')
    expect(process.exits).toEqual([1])
    expect(closed).toBe(1)
  })

  it('that cannot close says why and ends with 1', async () => {
    const { process, lines } = setUp(() => Promise.reject(new Error('disk gone')))
    process.emit('SIGTERM')
    await once(process, 'exited')
    expect(process.exits).toEqual([1])
    expect(lines.at(-1)).toContain('disk gone')
  })

  it.each(['uncaughtException', 'unhandledRejection'])('ends with 1 on an %s, loudly', (event) => {
    const { process, lines } = setUp(async () => {})
    process.emit(event, new Error('never thought of'))
    expect(process.exits).toEqual([1])
    expect(lines.join('')).toMatch(/"level":"fatal".*never thought of/)
  })

  it('can be stopped from inside, too', async () => {
    const { process, shutdown } = setUp(async () => {})
    await Promise.all([shutdown.begin('parent is gone'), shutdown.begin('again')])
    expect(process.exits).toEqual([0])
  })

  it('is left as it was when the handlers are taken off', () => {
    const { process, shutdown } = setUp(async () => {})
    shutdown.uninstall()
    expect(process.eventNames()).toEqual([])
  })
})
