import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { startApi, type TestApi } from './test-api.ts'

interface Operation {
  readonly summary?: string
  readonly responses?: Readonly<Record<string, { readonly content?: unknown }>>
}

let server: TestApi
let paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
beforeAll(async () => {
  server = await startApi()
  const document = (await (await server.get('/api/docs')).json()) as { readonly paths: typeof paths }
  expect(document).toMatchObject({ openapi: expect.stringMatching(/^3\.1/), info: { version: '1.2.3' } })
  paths = document.paths
})
afterAll(() => server.api.close())

it('says of every route what it is for and what it answers', () => {
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { summary, responses }] of Object.entries(operations)) {
      expect({ path, method, summary, answers: Object.keys(responses ?? {}) }).toEqual({
        ...{ path, method, summary: expect.stringMatching(/\.$/) },
        answers: expect.arrayContaining([expect.any(String)]),
      })
    }
  }
})

it('has all routes that stock clients use', () => {
  expect(Object.keys(paths).sort()).toEqual(
    [
      ...['/', '/status.css', '/api/docs', '/api/heartbeat', '/api/sysinfo', '/api/sysinfo_ver', '/api/switch-grant'],
      ...[
        '/api/login-options',
        '/api/login',
        '/api/logout',
        '/api/currentUser',
        '/api/oidc/auth',
        '/api/oidc/auth-query',
      ],
      ...['/api/ab', '/api/ab/get', '/api/ab/personal', '/api/ab/settings', '/api/ab/shared/profiles', '/api/ab/peers'],
      ...['/api/ab/tags/{guid}', '/api/ab/peer/add/{guid}', '/api/ab/peer/update/{guid}', '/api/ab/peer/{guid}'],
      ...['/api/ab/tag/add/{guid}', '/api/ab/tag/rename/{guid}', '/api/ab/tag/update/{guid}', '/api/ab/tag/{guid}'],
      ...['/api/device-group/accessible', '/api/users', '/api/peers', '/api/devices/cli', '/api/devices/deploy'],
      ...['/api/audit/conn', '/api/audit/file', '/api/audit/alarm', '/api/audit/conn/active', '/api/audit'],
    ].sort(),
  )
})
