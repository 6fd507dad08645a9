/** Loaded before each file of `npm run test:long`: properties that do not say how often are tried so many times. */
import fc from 'fast-check'

fc.configureGlobal({ numRuns: 20_000 })
