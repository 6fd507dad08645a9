export { type SessionBrokerFixture, sessionBrokerContract } from './session-broker-contract.ts'
export { type Dial, SharedSessions, type SharedSessionsOptions, seeded } from './shared-sessions.ts'
