/** `npm run test:long`: what takes too long for every `npm test`, in files of their own. */
import shared from './jest.config.mjs'

export default {
  ...shared,
  testMatch: ['<rootDir>/src/**/*.long.test.ts', '<rootDir>/test/**/*.long.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
}
