import { describe, expect, it } from '@jest/globals'
import { derivedRelayServer, parseHostPort, webSocketUrl } from './service-address.ts'

describe('addresses of services', () => {
  it.each([
    ['relay.example.com', { host: 'relay.example.com', port: 21117 }],
    ['relay.example.com:1', { host: 'relay.example.com', port: 1 }],
    ['203.0.113.7:2', { host: '203.0.113.7', port: 2 }],
    ['[2001:db8::1]:3', { host: '2001:db8::1', port: 3 }],
    ['[2001:db8::1]', { host: '2001:db8::1', port: 21117 }],
    ['2001:db8::1', { host: '2001:db8::1', port: 21117 }],
  ])('reads %s', (text, expected) => {
    expect(parseHostPort(text, 21117)).toEqual(expected)
  })

  it.each(['', ':21117', 'a b:', 'host:port'])('names the offender in "%s"', (text) => {
    expect(() => parseHostPort(text, 21117)).toThrow(`"${text}"`)
  })

  // The cases that stock clients check themselves.
  it.each([
    ['127.0.0.1', 21115, undefined, 'ws://127.0.0.1:21118/'],
    ['127.0.0.1', 21116, undefined, 'ws://127.0.0.1:21118/'],
    ['127.0.0.1', 21117, undefined, 'ws://127.0.0.1:21119/'],
    ['127.0.0.1', 34567, undefined, 'ws://127.0.0.1:34569/'],
    ['127.0.0.1', 23456, 23456, 'ws://127.0.0.1:23458/'],
    ['127.0.0.1', 23455, 23456, 'ws://127.0.0.1:23458/'],
    ['2001:db8::1', 21116, undefined, 'ws://[2001:db8::1]:21118/'],
    ['id.example.com', 21116, undefined, 'ws://id.example.com/ws/id'],
    ['relay.example.com', 21117, undefined, 'ws://relay.example.com/ws/relay'],
  ])('turns %s:%i into a WebSocket URL', (host, port, idPort, url) => {
    expect(webSocketUrl({ host, port }, { host: 'id', port: idPort })).toBe(url)
  })

  it('leaves a WebSocket URL as it is', () => {
    const target = parseHostPort('wss://relay.example.com/elsewhere', 21117)
    expect(webSocketUrl(target, { host: 'id.example.com' })).toBe('wss://relay.example.com/elsewhere')
  })

  it('uses wss for names when the client does', () => {
    const server = { host: 'id.example.com', webSocketScheme: 'wss' } as const
    expect(webSocketUrl({ host: 'id.example.com', port: 21116 }, server)).toBe('wss://id.example.com/ws/id')
    expect(webSocketUrl({ host: '203.0.113.7', port: 21117 }, server)).toBe('ws://203.0.113.7:21119/')
  })

  it('finds a proxy for names on the port that it is told', () => {
    const server = { host: 'id.example.com', webSocketScheme: 'wss', webSocketPort: 8443 } as const
    expect(webSocketUrl({ host: 'id.example.com', port: 21117 }, server)).toBe('wss://id.example.com:8443/ws/relay')
    expect(webSocketUrl({ host: '203.0.113.7', port: 21117 }, server)).toBe('ws://203.0.113.7:21119/')
  })

  it('derives the relay from the ID server', () => {
    expect(derivedRelayServer({ host: 'id.example.com' })).toBe('id.example.com:21117')
    expect(derivedRelayServer({ host: '2001:db8::1', port: 5000 })).toBe('[2001:db8::1]:5001')
  })
})
