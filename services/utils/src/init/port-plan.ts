import { InitError } from './init-error.ts'

/** Each published port, by the variable that names it, and its distance from the ID server's, which clients assume. */
export const DISTANCES = {
  PORT_API: -2,
  PORT_NAT_TEST: -1,
  PORT_RELAY: 1,
  PORT_WS_ID: 2,
  PORT_WS_RELAY: 3,
} as const

const DEFAULT_PORT_BASE = 21_116

/**
 * The ID server's port, when the other ports stand beside it. A compose file cannot calculate, so they are variables of
 * their own, and clients that find another distance reach nobody.
 *
 * @throws InitError with the lines that are missing
 */
export function portBase(env: NodeJS.ProcessEnv): number {
  const base = Number(env.PORT_BASE || DEFAULT_PORT_BASE)
  if (!Number.isInteger(base) || base < 3 || base > 65_532) {
    throw new InitError(`PORT_BASE=${env.PORT_BASE}: use a whole number from 3 to 65532`)
  }
  const plan = Object.entries(DISTANCES).map(([name, distance]) => [name, base + distance] as const)
  if (plan.every(([name, port]) => Number(env[name] || port) === port)) return base
  const lines = [['PORT_BASE', base] as const, ...plan].map(([name, port]) => `${name}=${port}`)
  throw new InitError(`clients derive all ports from PORT_BASE: put these lines into .env\n${lines.join('\n')}`)
}
