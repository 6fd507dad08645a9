import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `two nodes that register the same ids (skipped: ${whyNoRedis})`]
  : [describe, 'two nodes that register the same ids']

const ROUNDS = 20

suite(name, () => {
  let redis: TestRedis
  const children: ChildProcess[] = []

  beforeAll(async () => {
    redis = await startTestRedis()
  })

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL')
    await redis.stop()
  })

  async function startNode(settings: string, firstUuid: number) {
    const script = join(import.meta.dirname, 'register-one-id.child.mjs')
    const child = spawn(process.execPath, [script, settings, `${firstUuid}`], { stdio: ['pipe', 'pipe', 'inherit'] })
    children.push(child)
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    expect((await lines.next()).value).toBe('ready')
    return {
      register: async (id: string): Promise<{ winners: number[]; owners: number[] }> => {
        child.stdin.write(`${id}\n`)
        const { value } = await lines.next()
        return JSON.parse(value ?? 'null')
      },
      end: async () => {
        const exited = once(child, 'exit')
        child.stdin.end()
        expect(await exited).toEqual([0, null])
      },
    }
  }

  it('agree on one of 200 devices that ask for an id at the same moment', async () => {
    const settings = JSON.stringify(redis.settings())
    const nodes = await Promise.all([startNode(settings, 0), startNode(settings, 100)])
    for (let round = 0; round < ROUNDS; round++) {
      const answers = await Promise.all(nodes.map((node) => node.register(`id-${round}`)))
      const winners = answers.flatMap(({ winners }) => winners)
      expect(winners).toHaveLength(1)
      for (const { owners } of answers) expect(owners).toEqual(winners)
    }
    for (const node of nodes) await node.end()
  })
})
