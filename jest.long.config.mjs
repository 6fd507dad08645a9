/**
 * `npm run test:long`: what takes too long for every `npm test`. All tests, among them
 * `*.long.test.ts`, and properties with many more runs.
 */
import { join } from 'node:path'
import shared from './jest.config.mjs'

export default {
  ...shared,
  setupFiles: [join(import.meta.dirname, 'tools', 'long-properties.mjs')],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 600_000,
}
