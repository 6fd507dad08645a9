import { describe, expect, it } from '@jest/globals'
import { systemClock } from './clock.ts'
import { Inbox } from './inbox.ts'

function inbox() {
  const flow: string[] = []
  return { flow, inbox: new Inbox(systemClock, { pause: () => flow.push('pause'), resume: () => flow.push('resume') }) }
}

describe('Inbox', () => {
  it('gives payloads in order, empty ones too, and then the end', async () => {
    const { inbox: box } = inbox()
    box.put(Uint8Array.of(1))
    box.put(new Uint8Array(0))
    box.end()
    box.put(Uint8Array.of(2))
    expect([await box.take(), await box.take(), await box.take(), await box.take()]).toEqual([
      Uint8Array.of(1),
      new Uint8Array(0),
      'ended',
      'ended',
    ])
  })

  it('hands a payload to who waits for it', async () => {
    const { inbox: box } = inbox()
    const taken = box.take(1_000)
    box.put(Uint8Array.of(1))
    expect(await taken).toEqual(Uint8Array.of(1))
  })

  it('stops waiting in time, and the next payload is not lost', async () => {
    const { inbox: box } = inbox()
    expect(await box.take(1)).toBe('timeout')
    box.put(Uint8Array.of(1))
    expect(await box.take()).toEqual(Uint8Array.of(1))
  })

  it('pauses its source while nobody takes, and not for every payload', async () => {
    const { inbox: box, flow } = inbox()
    for (let i = 0; i < 5; i++) box.put(new Uint8Array(300_000))
    expect(flow).toEqual(['pause'])
    for (let i = 0; i < 5; i++) await box.take()
    expect(flow).toEqual(['pause', 'resume'])
  })

  it('refuses a second caller', () => {
    const { inbox: box } = inbox()
    void box.take()
    expect(() => box.take()).toThrow('one by one')
  })
})
