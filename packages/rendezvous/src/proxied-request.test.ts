import { describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import { readProxiedRequest } from './proxied-request.ts'

const message = (properties: rendezvous.HttpProxyRequest.$Properties) =>
  rendezvous.HttpProxyRequest.decode(rendezvous.HttpProxyRequest.encode(properties).finish())

const read = (properties: rendezvous.HttpProxyRequest.$Properties, prefix = '') =>
  readProxiedRequest(message({ method: 'GET', ...properties }), prefix)

describe('a request to the API over a connection to the ID server', () => {
  it('is passed on with its query and its body', () => {
    const body = Uint8Array.of(1, 2, 3)
    expect(read({ method: 'POST', path: '/api/ab/peers?current=1&ab=x%2Fy', body })).toEqual({
      method: 'POST',
      path: '/api/ab/peers?current=1&ab=x%2Fy',
      headers: [],
      body,
    })
  })

  it('is passed on without what is not the client’s to say', () => {
    const headers = [
      { name: 'Content-Type', value: 'application/json' },
      { name: 'Authorization', value: 'Bearer t' },
      { name: 'authorization', value: 'Bearer another' },
      { name: 'X-Forwarded-For', value: '192.0.2.1' },
      { name: 'X-Real-IP', value: '192.0.2.1' },
      { name: 'Host', value: 'elsewhere' },
      { name: 'Accept-Encoding', value: 'gzip' },
      { name: 'Content-Length', value: '0' },
    ]
    expect(read({ path: '/api/ab', headers })).toMatchObject({
      headers: [
        { name: 'content-type', value: 'application/json' },
        { name: 'authorization', value: 'Bearer t' },
      ],
    })
  })

  it('loses the prefix under which clients know the API', () => {
    expect(read({ path: '/x/api/login' }, '/x')).toMatchObject({ path: '/api/login' })
    expect(read({ path: '/api/login' }, '/x')).toMatchObject({ path: '/api/login' })
  })

  it.each([
    '/',
    '/metrics',
    '/apix',
    'api/login',
    'http://192.0.2.1/api/login',
    '//192.0.2.1/api/login',
    '/api/../metrics',
    '/api/..',
    '/api/./x',
    '/api/%2e%2e/metrics',
    '/api/.%2E/metrics',
    '/api//192.0.2.1',
    '/api/\\..\\metrics',
    '/api/a b',
    '/api/a\r\nHost: x',
    '/api/a#b',
    '/api/ä',
    `/api/${'a'.repeat(2_048)}`,
  ])('goes nowhere with the path %j', (path) => {
    expect(read({ path })).toEqual({ refusal: 'no such path' })
  })

  it.each(['', 'get', 'HEAD', 'PATCH', 'CONNECT', 'OPTIONS'])('goes nowhere with the method %j', (method) => {
    expect(read({ method, path: '/api/ab' })).toEqual({ refusal: 'no such method' })
  })

  it.each(['a\r\nb: c', 'ä', 'a'.repeat(1_025)])('goes nowhere with a header like %j', (value) => {
    expect(read({ path: '/api/ab', headers: [{ name: 'Authorization', value }] })).toEqual({
      refusal: 'no such header',
    })
  })
})
