import { describe, expect, it } from '@jest/globals'
import { createLogger, type LoggerOptions } from './logger.ts'

function logTo(options: Partial<LoggerOptions>) {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { lines, log: createLogger({ service: 'hbbs', level: 'info', format: 'json', destination, ...options }) }
}

describe('the log', () => {
  it('is one JSON object a line with level, time, service and message', () => {
    const { lines, log } = logTo({})
    log.warn({ peerId: '123456789' }, 'device moved')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      service: 'hbbs',
      peerId: '123456789',
      msg: 'device moved',
    })
  })

  it.each(['json', 'pretty'] as const)(
    'shows the public key that people copy, and events for fail2ban, as they are: %s',
    (format) => {
      const { lines, log } = logTo({ format })
      log.info('Key: A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=')
      log.warn('Authentication failed from 203.0.113.7:51712 for peer 123456789 - invalid key')
      expect(lines[0]).toContain('Key: A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=')
      expect(lines[1]).toContain('Authentication failed from 203.0.113.7:51712 for peer 123456789 - invalid key')
    },
  )

  it.each(['json', 'pretty'] as const)('never shows keys, tokens and passwords in fields: %s', (format) => {
    const { lines, log } = logTo({ format })
    const secrets = { key: 'S1', token: 'S2', password: 'S3', licenceKey: 'S4', licence_key: 'S5', secretKey: 'S6' }
    log.info(secrets, 'top')
    log.info({ request: secrets, config: { hbbs: secrets } }, 'deeper')
    log.child({ token: 'S7' }).info('child')
    const text = lines.join('')
    expect(text).not.toMatch(/S[1-7]/)
    expect(text).toContain('[redacted]')
  })

  it('leaves out what is below its level', () => {
    const { lines, log } = logTo({ level: 'warn' })
    log.info('nothing')
    expect(lines).toEqual([])
  })

  it('shows an error with its cause', () => {
    const { lines, log } = logTo({})
    log.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed')
    expect(lines[0]).toContain('inner')
  })
})
