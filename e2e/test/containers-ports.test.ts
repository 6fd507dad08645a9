import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { ComposeStack, portVariables } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(180_000)
const BUILD_LIMIT_MS = 900_000

/** Beside PORT_BASE: four of the other five lines are missing, and one is no longer right. */
const LEFT = { PORT_API: '', PORT_NAT_TEST: '', PORT_RELAY: '1117', PORT_WS_ID: '', PORT_WS_RELAY: '' }

const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`docker compose up with other ports${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  const stacks: ComposeStack[] = []

  beforeAll(async () => (await ComposeStack.prepare()).build(), BUILD_LIMIT_MS)
  afterEach(async () => {
    for (const stack of stacks.splice(0)) await stack.remove()
  })

  async function prepared(options: Parameters<typeof ComposeStack.prepare>[0]): Promise<ComposeStack> {
    const stack = await ComposeStack.prepare(options)
    stacks.push(stack)
    return stack
  }

  it('starts nothing where lines are missing or wrong, names them, and starts with them', async () => {
    const wrong = await prepared({ env: LEFT })
    await expect(wrong.compose('up', '--detach')).rejects.toThrow(/init.* exit 1/)
    const running = (await wrong.states()).filter(({ State }) => State === 'running')
    expect(running).toEqual([])
    const lines = (await wrong.logs('init')).match(/^PORT_\w+=\d+$/gm) ?? []
    const named = Object.fromEntries(lines.map((line) => line.split('=') as [string, string]))
    expect(named).toEqual(portVariables(wrong.port))

    // Its networks are those of the next.
    await wrong.remove()
    const right = await prepared({ port: wrong.port, env: named })
    await right.up()
    expect((await right.device()).id).not.toBe('')
  })

  it('starts nothing where the port leaves no room for the others, and says so', async () => {
    const stack = await prepared({ env: { PORT_BASE: '65534' } })
    await expect(stack.compose('up', '--detach')).rejects.toThrow(/init.* exit 1/)
    expect(await stack.logs('init')).toContain('PORT_BASE=65534: use a whole number from 3 to 65532')
  })
})
