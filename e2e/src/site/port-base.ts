/** Below the range from which the system draws the ports of outgoing connections. */
const LOWEST = 10_000
const HIGHEST = 31_000
/** Around one server's main port: two before it, and behind it three of its own and two of nginx. */
const BLOCK = 10
/** Where the base is given: how many servers each of jest's workers has room for, side by side. */
const BLOCKS_OF_A_WORKER = 40

/** The ID server's port that the tests were told to use. */
const GIVEN = givenBase(process.env.TRYST_E2E_PORT_BASE)

let drawn = 0

/**
 * A main port to try: any, or, with TRYST_E2E_PORT_BASE, that one and then every tenth behind it. There the first
 * server of each test file has exactly that port, in jest's first worker.
 */
export function nextPortBase(): number {
  return GIVEN === undefined ? LOWEST + BLOCK * random((HIGHEST - LOWEST) / BLOCK) : nextAfter(GIVEN)
}

function nextAfter(base: number): number {
  const worker = Number(process.env.JEST_WORKER_ID ?? 1) - 1
  return base + BLOCK * (worker * BLOCKS_OF_A_WORKER + (drawn++ % BLOCKS_OF_A_WORKER))
}

const random = (below: number): number => Math.floor(Math.random() * below)

function givenBase(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const base = Number(text)
  if (Number.isInteger(base) && base >= 1024 && base <= HIGHEST) return base
  throw new Error(`TRYST_E2E_PORT_BASE=${text}: use a whole number from 1024 to ${HIGHEST}`)
}
