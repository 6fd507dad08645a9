import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'

const run = (name: string, ...argv: string[]) =>
  spawnSync(fileURLToPath(new URL(`../bin/${name}`, import.meta.url)), argv, {
    cwd: tmpdir(),
    encoding: 'utf8',
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` },
  })

describe.each(['tryst', 'rustdesk-utils'])('bin/%s', (name) => {
  it('runs in any folder with nothing but a PATH, and makes a pair that it takes for valid', () => {
    const made = run(name, 'genkeypair')
    expect({ status: made.status, stderr: made.stderr }).toEqual({ status: 0, stderr: '' })
    const [publicKey = '', secretKey = ''] = made.stdout.match(/\S+=$/gm) ?? []
    expect(run(name, 'validatekeypair', publicKey, secretKey)).toMatchObject({
      status: 0,
      stdout: 'Key pair is VALID\n',
    })
  })

  it('calls itself by the name that it was started under', () => {
    expect(run(name)).toMatchObject({ status: 1, stdout: expect.stringContaining(`Usage: ${name} `) })
  })
})
