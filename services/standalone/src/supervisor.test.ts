import { describe, expect, it } from '@jest/globals'
import type { ServiceEnd } from '@tryst/service'
import { type SupervisedService, Supervisor } from './supervisor.ts'

class FakeService implements SupervisedService {
  readonly name: string
  readonly signals: string[] = []
  readonly ready = Promise.resolve()
  readonly ended: Promise<ServiceEnd>
  end: (end: ServiceEnd) => void = () => {}

  constructor(name: string) {
    this.name = name
    this.ended = new Promise((resolve) => {
      this.end = resolve
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.signals.push(signal)
    if (signal === 'SIGKILL') this.end({ status: 137, words: 'was ended by SIGKILL' })
  }
}

const CLEAN: ServiceEnd = { status: 0, words: 'ended with status 0' }

function supervise() {
  const [hbbs, hbbr] = [new FakeService('hbbs'), new FakeService('hbbr')]
  const timers: { callback: () => void; ms: number }[] = []
  const supervisor = new Supervisor({
    services: [hbbs, hbbr],
    closeWithinMs: 10_000,
    setTimer: (callback, ms) => {
      timers.push({ callback, ms })
      return { unref: () => {} }
    },
  })
  return { hbbs, hbbr, timers, supervisor }
}

describe('the supervisor', () => {
  it('passes a signal on to every service and ends with their status', async () => {
    const { hbbs, hbbr, supervisor } = supervise()
    const end = supervisor.end()
    supervisor.stop('SIGINT')
    expect([hbbs.signals, hbbr.signals]).toEqual([['SIGINT'], ['SIGINT']])
    hbbs.end(CLEAN)
    hbbr.end(CLEAN)
    expect(await end).toEqual({ status: 0 })
  })

  it('ends well when a service is told to end before it can listen to signals', async () => {
    const { hbbs, hbbr, supervisor } = supervise()
    const end = supervisor.end()
    supervisor.stop('SIGTERM')
    hbbs.end(CLEAN)
    hbbr.end({ status: 143, words: 'was ended by SIGTERM', signal: 'SIGTERM' })
    expect(await end).toEqual({ status: 0 })
  })

  it('takes what follows a signal within a moment for the same one, and passes on what comes later', () => {
    const { hbbs, supervisor } = supervise()
    supervisor.stop('SIGINT', 1000)
    supervisor.stop('SIGINT', 1010)
    expect(hbbs.signals).toEqual(['SIGINT'])
    supervisor.stop('SIGINT', 2000)
    expect(hbbs.signals).toEqual(['SIGINT', 'SIGINT'])
  })

  it('takes the other service down when one ends by itself, and says which', async () => {
    const { hbbs, hbbr, supervisor } = supervise()
    const end = supervisor.end()
    hbbr.end({ status: 3, words: 'ended with status 3' })
    await hbbr.ended
    expect(hbbs.signals).toEqual(['SIGTERM'])
    hbbs.end(CLEAN)
    expect(await end).toEqual({ status: 3, fault: 'hbbr ended with status 3, so everything was stopped' })
  })

  it('never reports success when a service ended unasked', async () => {
    const { hbbs, hbbr, supervisor } = supervise()
    const end = supervisor.end()
    hbbs.end(CLEAN)
    await hbbs.ended
    hbbr.end(CLEAN)
    expect((await end).status).toBe(1)
  })

  it('kills what has not ended in time', async () => {
    const { hbbs, timers, supervisor } = supervise()
    const end = supervisor.end()
    supervisor.stop('SIGTERM')
    hbbs.end(CLEAN)
    expect(timers.map(({ ms }) => ms)).toEqual([10_000])
    for (const { callback } of timers) callback()
    expect(await end).toEqual({ status: 137 })
  })

  it('passes a signal that ends nothing to the service it is for', () => {
    const { hbbs, hbbr, supervisor } = supervise()
    supervisor.notify('hbbr', 'SIGHUP')
    expect([hbbs.signals, hbbr.signals]).toEqual([[], ['SIGHUP']])
  })
})
