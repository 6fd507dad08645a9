import { describe, expect, it } from '@jest/globals'
import type { z } from 'zod'
import {
  bindAddress,
  hostName,
  ipAddress,
  ipv4Network,
  networkList,
  secondsAsMs,
  selfTestTarget,
  serverList,
  sqlitePath,
  webAddress,
  wholeNumber,
} from './value-schemas.ts'

const WRONG = Symbol('refused')

function read<Value>(schema: z.ZodType<Value, string>, text: string): Value | typeof WRONG {
  const result = schema.safeParse(text)
  return result.success ? result.data : WRONG
}

describe('a value', () => {
  it.each([
    ['https://hbbs.example.com', 'https://hbbs.example.com'],
    ['https://hbbs.example.com/', 'https://hbbs.example.com'],
    ['http://192.0.2.1:8080/x/y/', 'http://192.0.2.1:8080/x/y'],
    ['https://[2001:db8::1]:8443', 'https://[2001:db8::1]:8443'],
    ['hbbs.example.com', WRONG],
    ['hbbs.example.com:21114', WRONG],
    ['ftp://hbbs.example.com', WRONG],
    ['https://user:secret@hbbs.example.com', WRONG],
    ['https://hbbs.example.com/?x=1', WRONG],
    ['https://hbbs.example.com/#x', WRONG],
    ['https://', WRONG],
  ])('that is an address of the web: %j', (text, value) => {
    expect(read(webAddress, text)).toBe(value)
  })

  it.each([
    ['5', 5],
    [' 7 ', 7],
    ['007', 7],
    ['4', WRONG],
    ['11', WRONG],
    ['5.0', WRONG],
    ['0x6', WRONG],
    ['6e0', WRONG],
    ['-6', WRONG],
    ['', WRONG],
  ])('that is a whole number from 5 to 10: %j', (text, value) => {
    expect(read(wholeNumber({ min: 5, max: 10 }), text)).toBe(value)
  })

  it.each([
    ['1', 1000],
    ['2.5', 2500],
    ['0', WRONG],
    ['1s', WRONG],
  ])('in seconds is kept in milliseconds: %j', (text, value) => {
    expect(read(secondsAsMs({ min: 1, max: 10 }), text)).toBe(value)
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['0.0.0.0', '0.0.0.0'],
    ['2001:db8::7', '2001:db8::7'],
    ['10', WRONG],
    ['0x7f000001', WRONG],
    ['127.1', WRONG],
    ['localhost', WRONG],
    ['[::1]', WRONG],
    ['192.0.2.7:80', WRONG],
  ])('that is an address: %j', (text, value) => {
    expect(read(ipAddress, text)).toBe(value)
  })

  it.each([
    ['192.168.0.0/16', '192.168.0.0/16'],
    ['192.0.2.7', '192.0.2.7/32'],
    ['192.0.2.7/33', WRONG],
    ['fe80::/10', WRONG],
  ])('that is an IPv4 network: %j', (text, value) => {
    expect(read(ipv4Network, text)).toBe(value)
  })

  it.each([
    ['10.0.0.0/8, ::1 ,192.0.2.7', ['10.0.0.0/8', '::1/128', '192.0.2.7/32']],
    ['none', []],
    ['10.0.0.0/8;::1', WRONG],
    ['proxy.example.com', WRONG],
  ])('that is a list of networks: %j', (text, value) => {
    expect(read(networkList, text)).toEqual(value)
  })

  it.each([
    ['a.example.com, b:30000,[2001:db8::1]:21117,2001:db8::2,192.0.2.7', 5],
    [',,', 0],
    ['a:0', WRONG],
    ['a:65536', WRONG],
    ['http://a', WRONG],
    ['a/b', WRONG],
    ['a b', WRONG],
    ['-a', WRONG],
  ])('that is a list of servers: %j', (text, count) => {
    const value = read(serverList, text)
    expect(value === WRONG ? WRONG : value.length).toBe(count)
  })

  it.each([
    ['hbbs.example.com', 'hbbs.example.com'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['hbbs.example.com:21116', WRONG],
    ['https://hbbs.example.com', WRONG],
    ['hbbs.example.com/', WRONG],
  ])('that is a host alone: %j', (text, value) => {
    expect(read(hostName, text)).toBe(value)
  })

  it.each([
    ['127.0.0.1:9100', { host: '127.0.0.1', port: 9100, whenTaken: 'fail' }],
    ['127.0.0.1:9100?', { host: '127.0.0.1', port: 9100, whenTaken: 'warn' }],
    [':9100', { host: '::', port: 9100, whenTaken: 'fail' }],
    ['[::1]:9100', { host: '::1', port: 9100, whenTaken: 'fail' }],
    ['localhost:9100', { host: 'localhost', port: 9100, whenTaken: 'fail' }],
    ['9100', WRONG],
    ['::1', WRONG],
    ['example.com:9100', WRONG],
  ])('that is an address to listen on: %j', (text, value) => {
    expect(read(bindAddress, text)).toEqual(value)
  })

  it.each([
    ['NO', 'no'],
    ['127.0.0.1:21116', '127.0.0.1:21116'],
    ['localhost:21116', WRONG],
  ])('that is the target of a self-test: %j', (text, value) => {
    expect(read(selfTestTarget, text)).toBe(value)
  })

  it.each([
    ['./db_v2.sqlite3', './db_v2.sqlite3'],
    ['/var/lib/x.db', '/var/lib/x.db'],
    ['sqlite:///var/lib/x.db?mode=rwc', '/var/lib/x.db'],
    ['sqlite://x.db', 'x.db'],
    ['sqlite:x.db', 'x.db'],
    ['C:\\tryst\\x.db', 'C:\\tryst\\x.db'],
    ['mysql://x', WRONG],
    ['sqlite://', WRONG],
  ])('that is the path of a database: %j', (text, value) => {
    expect(read(sqlitePath, text)).toBe(value)
  })
})
