import { generateKeyPairSync } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { NodeId } from '@tryst/rendezvous'
import type { LinkEvents, LinkTarget, NodeLinkOptions, NodeQuestions, StreamOpening } from '../src/index.ts'
import { DEFAULT_NODE_LINK_LIMITS, NodeLinks } from '../src/index.ts'

/** 64 bytes, as libsodium has it: seed, then public key. */
export function drawSecretKey(): Uint8Array {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
  return Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')])
}

export const SECRET_KEY = drawSecretKey()

/** Answers everything in the negative, but for what is given. */
export const questions = (given: Partial<NodeQuestions> = {}): NodeQuestions => ({
  push: () => 'not-mine',
  forget: () => undefined,
  holds: (ids) => ids.map(() => undefined),
  answer: () => Promise.resolve(false),
  ticketFor: () => undefined,
  recall: () => undefined,
  hasStore: () => true,
  hasDeviceInNetwork: () => false,
  dismiss: () => undefined,
  ...given,
})

/** The deadline of questions as it is outside of tests. */
export const REAL_DEADLINE = { deadlineMs: DEFAULT_NODE_LINK_LIMITS.deadlineMs }

export interface TestNode {
  readonly links: NodeLinks
  readonly target: LinkTarget
  /** What its log would show, a line for each event. */
  readonly log: string[]
}

const started: NodeLinks[] = []
let count = 0

export interface TestNodeOptions extends Partial<Omit<NodeLinkOptions, 'handle' | 'listen' | 'events'>> {
  readonly answers?: Partial<NodeQuestions>
  readonly port?: number
  readonly onStream?: (opening: StreamOpening, stream: Duplex) => boolean
}

export async function startNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const { answers, port = 0, ...rest } = options
  const log: string[] = []
  const events: LinkEvents = {
    opened: (node, how) => log.push(`opened ${node.name} ${how}`),
    lost: (node, end) => log.push(`lost ${node.name} ${end}`),
    refused: (source, reason, claims) => log.push(`refused ${source} ${reason} ${claims ?? ''}`.trimEnd()),
    unreachable: (_, reason) => log.push(`unreachable ${reason}`),
  }
  const number = ++count
  const incarnation = (rest.incarnation ?? `incarnation-${number}`) as NodeId
  const links = await NodeLinks.open({
    secretKey: SECRET_KEY,
    name: `node-${number}`,
    version: '1.2.3',
    onStream: () => false,
    ...rest,
    // Machines that test are busy; where the deadline is the subject, it is the real one.
    limits: { deadlineMs: 5_000, ...rest.limits },
    incarnation,
    listen: { host: '127.0.0.1', port },
    handle: questions(answers),
    events,
  })
  started.push(links)
  return { links, target: { incarnation, address: links.address }, log }
}

export function closeNodes(): void {
  for (const links of started.splice(0)) links.close()
}

/** Waits until it holds; says what did not. */
export async function until(what: string, holds: () => boolean, withinMs = 5_000): Promise<void> {
  const lastMs = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > lastMs) throw new Error(`still not so: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
