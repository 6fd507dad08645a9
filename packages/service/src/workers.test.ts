import { describe, expect, it } from '@jest/globals'
import { createLogger } from './logger.ts'
import type { ServiceEnd } from './service-process.ts'
import { nodeLabel, type Worker, Workers, workerConfig } from './workers.ts'

/** A worker that does what a test says. */
class ScriptedWorker implements Worker {
  readonly signals: NodeJS.Signals[] = []
  readonly passed: unknown[] = []
  readonly ready: Promise<void>
  readonly ended: Promise<ServiceEnd>
  beReady: () => void = () => {}
  end: (status: number) => void = () => {}
  /** As a process that does not listen to signals yet. */
  endBy: (signal: NodeJS.Signals) => void = () => {}

  constructor() {
    let failBeforeReady: (error: Error) => void
    this.ready = new Promise((resolve, reject) => {
      this.beReady = resolve
      failBeforeReady = reject
    })
    this.ready.catch(() => {})
    this.ended = new Promise((resolve) => {
      this.endBy = (signal) => {
        failBeforeReady(new Error('ended'))
        resolve({ status: 131, words: `was ended by ${signal}`, signal })
      }
      this.end = (status) => {
        failBeforeReady(new Error('ended'))
        resolve({ status, words: `ended with status ${status}` })
      }
    })
  }

  pass(message: object): void {
    this.passed.push(message)
  }

  signal(signal: NodeJS.Signals): void {
    this.signals.push(signal)
    if (signal === 'SIGTERM') this.end(0)
    if (signal === 'SIGQUIT') this.endBy(signal)
  }
}

function workers(count: number) {
  const started: { number: number; worker: ScriptedWorker }[] = []
  const log = createLogger({ service: 'test', level: 'silent', format: 'json' })
  const all = new Workers({
    ...{ count, log, closeWithinMs: 60_000 },
    start: (number) => {
      const worker = new ScriptedWorker()
      started.push({ number, worker })
      return worker
    },
  })
  const ready = Promise.withResolvers<void>()
  return { all, started, ready: ready.promise, status: all.run(ready.resolve) }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('workers', () => {
  it('are ready together and end together', async () => {
    const { all, started, ready, status } = workers(3)
    for (const { worker } of started) worker.beReady()
    await ready
    all.stop('SIGTERM')
    expect(await status).toBe(0)
    expect(started.map(({ worker }) => worker.signals)).toEqual([['SIGTERM'], ['SIGTERM'], ['SIGTERM']])
  })

  it('are started again under their number when they die', async () => {
    const { all, started, ready, status } = workers(2)
    for (const { worker } of started) worker.beReady()
    await ready
    started[1]?.worker.end(139)
    await until(() => started.length === 3)
    expect(started[2]?.number).toBe(2)
    expect(started[0]?.worker.signals).toEqual([])
    all.stop('SIGTERM')
    expect(await status).toBe(0)
  })

  it('all end with the status of one that cannot even start', async () => {
    const { started, status } = workers(2)
    started[0]?.worker.beReady()
    started[1]?.worker.end(1)
    expect(await status).toBe(1)
    expect(started[0]?.worker.signals).toEqual(['SIGTERM'])
  })

  it.each(['SIGTERM', 'SIGQUIT'] as const)('end with 0 when %s comes while they start', async (signal) => {
    const { all, started, status } = workers(2)
    started[0]?.worker.beReady()
    all.stop(signal)
    expect(await status).toBe(0)
  })

  it('get a second signal, too', async () => {
    const { all, started, ready, status } = workers(1)
    started[0]?.worker.beReady()
    await ready
    all.stop('SIGINT')
    all.stop('SIGTERM')
    expect(started[0]?.worker.signals).toEqual(['SIGINT', 'SIGTERM'])
    expect(await status).toBe(0)
  })
})

describe('what one worker gives to another', () => {
  const parcel = (to: number) => ({ parcel: { to, from: 1, content: 'half' } })
  const handle = () => {
    const all = { closed: 0, close: () => void all.closed++ }
    return all
  }

  it('reaches that one, and comes back where it has ended', async () => {
    const { all, started, status } = workers(2)
    all.deliver(parcel(2), handle())
    expect(started.map(({ worker }) => worker.passed)).toEqual([[], [parcel(2)]])
    started[1]?.worker.end(139)
    await started[1]?.worker.ended
    all.deliver(parcel(2), handle())
    expect(started[0]?.worker.passed).toEqual([parcel(2)])
    all.stop('SIGTERM')
    await status
  })

  it('is closed when nobody is left, and ignored when it is nothing of the kind', async () => {
    const { all, started, status } = workers(1)
    const [given, other] = [handle(), handle()]
    all.deliver({ ticket: {} }, other)
    all.stop('SIGTERM')
    await status
    all.deliver(parcel(1), given)
    expect([given.closed, other.closed, started[0]?.worker.passed]).toEqual([1, 0, []])
  })
})

describe('what differs between workers', () => {
  const config = {
    ...{ workers: 4, reusePort: false, nodeId: 'east' },
    nodeAddress: { host: '10.0.0.5', port: 21_200 },
    metricsBind: { host: '127.0.0.1', port: 9_100, whenTaken: 'fail' as const },
  }

  it('is their label and the ports that only they have', () => {
    expect(nodeLabel(config, 3)).toBe('east.3')
    expect(workerConfig(config, 3)).toMatchObject({
      reusePort: true,
      nodeAddress: { host: '10.0.0.5', port: 21_202 },
      metricsBind: { host: '127.0.0.1', port: 9_102 },
    })
  })

  it('is nothing where there are none', () => {
    expect(nodeLabel(config, undefined)).toBe('east')
    expect(workerConfig(config, undefined)).toBe(config)
  })

  it('leaves what has no fixed port alone', () => {
    const free = { ...config, nodeAddress: { host: '10.0.0.5', port: undefined }, metricsBind: undefined }
    expect(workerConfig(free, 2)).toMatchObject({ nodeAddress: { host: '10.0.0.5' }, metricsBind: undefined })
  })
})
