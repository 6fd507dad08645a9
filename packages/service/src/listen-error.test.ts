import { describe, expect, it } from '@jest/globals'
import { describeListenError } from './listen-error.ts'

const failure = (code: string) => Object.assign(new Error(`listen ${code}`), { code })
const describeFailure = (code: string, owner?: { name: string; pid: number }) =>
  describeListenError(failure(code), { port: 21117, protocol: 'tcp' }, async () => owner)

describe('a port that cannot be listened on', () => {
  it('is reported with the program that has it', async () => {
    const error = await describeFailure('EADDRINUSE', { name: 'hbbr', pid: 4711 })
    expect(error.message).toBe('TCP port 21117 is in use by hbbr (process 4711); stop that program, or set PORT')
    expect(error).toMatchObject({ code: 'EADDRINUSE', cause: { message: 'listen EADDRINUSE' } })
  })

  it('is reported without it where it cannot be found out', async () => {
    expect((await describeFailure('EADDRINUSE')).message).toBe(
      'TCP port 21117 is in use; stop that program, or set PORT',
    )
  })

  it.each([
    ['EACCES', /needs rights that this user does not have; set PORT to one above 1023/],
    ['EADDRNOTAVAIL', /the address is none of this machine's; set BIND/],
    ['EMFILE', /raise the limit of open files/],
    ['EWHATEVER', /TCP port 21117 cannot be listened on: listen EWHATEVER/],
  ])('is explained for %s', async (code, message) => {
    expect((await describeFailure(code)).message).toMatch(message)
  })

  it('names the setting that chose it', async () => {
    const target = { port: 9100, protocol: 'tcp', setting: 'METRICS_BIND' } as const
    const error = await describeListenError(failure('EADDRINUSE'), target, async () => undefined)
    expect(error.message).toContain('or set METRICS_BIND')
  })
})
