import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { REPOSITORY } from '../src/containers/compose-stack.ts'

/** What both files must have in common, without the remark at the top. */
const commonPart = (file: string) =>
  readFileSync(join(REPOSITORY, file), 'utf8')
    .replace(/^(#.*\n)+/, '')
    .split('# Below: what differs.')[0]

it('both Dockerfiles build the same, so that the images share their layers', () => {
  expect(commonPart('Dockerfile.hbbr')).toBe(commonPart('Dockerfile.hbbs'))
})
