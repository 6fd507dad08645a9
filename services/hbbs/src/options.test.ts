import { describe, expect, it } from '@jest/globals'
import { parseHbbsConfig } from '@tryst/service'
import { hbbsOptions } from './options.ts'

function optionsFor(...argv: string[]) {
  const parsed = parseHbbsConfig({ argv, env: {}, cwd: '/', readFile: () => undefined, version: '0' })
  if (parsed.kind !== 'run') throw new Error('expected a configuration')
  return hbbsOptions(parsed.config, 'key')
}

describe('the options of the ID server', () => {
  it('offer the relay beside the server under the name that clients use, where there is no list', () => {
    expect(optionsFor('--public-host', 'hbbs.example.com', '-p', '30000').settings.fallbackRelay).toBe(
      'hbbs.example.com:30001',
    )
    expect(optionsFor('-p', '30000').settings.fallbackRelay).toBe('')
  })

  it('name relays of the list with the port that clients would add', () => {
    const { settings } = optionsFor('-r', 'relay.example.com', '-p', '30000')
    expect(settings.relayServers).toEqual(['relay.example.com'])
    expect(settings.relayPort).toBe(21_117)
  })

  it('leave the text console off unless it is asked for', () => {
    expect(optionsFor().textConsole).toBe('off')
    expect(optionsFor('--console', 'Y').textConsole).toBe('on')
  })

  it('know no LAN unless there is a mask', () => {
    expect(optionsFor().settings.lan).toBeUndefined()
    expect(optionsFor('--mask', '192.168.0.0/16', '--local-ip', '192.168.0.1').settings.lan?.cidr).toBe(
      '192.168.0.0/16',
    )
  })
})
