import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { PhaseFigures } from '../src/watch.ts'

jest.setTimeout(180_000)

const MAIN = join(import.meta.dirname, '..', 'main.mjs')
const DEVICES = 900

interface Result {
  readonly phases: readonly PhaseFigures[]
  readonly state: { readonly devicesRefused: number }
}

async function simulate(...args: string[]): Promise<{ output: string; status: number | null }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { output, status: status as number | null }
}

describe('npm run simulate', () => {
  const args = ['--devices', `${DEVICES}`, '--steady', '20', '--punches', '10', '--churn', '400', '--json']
  let first: string
  let result: Result

  beforeAll(async () => {
    const { output, status } = await simulate(...args)
    expect(status).toBe(0)
    first = output
    result = JSON.parse(output)
  })

  const phase = (name: string): PhaseFigures => {
    const found = result.phases.find((one) => one.name === name)
    if (!found) throw new Error(`there is no phase ${name}`)
    return found
  }
  const sum = (read: (figures: PhaseFigures) => number) => result.phases.reduce((all, one) => all + read(one), 0)

  it('says the same of the same seed', async () => {
    expect((await simulate(...args)).output).toBe(first)
  })

  it('brings every device online', () => {
    expect(phase('the fleet comes')).toMatchObject({ devicesOn: DEVICES, served: DEVICES })
  })

  it('lets controllers meet devices on other nodes', () => {
    expect(phase('steady, with churn').punches.met).toBeGreaterThan(150)
    expect(phase('steady, with churn').mean.linkQuestions).toBeGreaterThan(10)
  })

  it('calls no device offline that is online, whatever breaks', () => {
    expect(sum(({ punches }) => punches['offline, though the device was online'])).toBe(0)
    expect(sum(({ punches }) => punches['unknown, though the device was online'])).toBe(0)
    expect(result.state.devicesRefused).toBe(0)
  })

  it.each([['one node dies'], ['its devices are back, its nodes are not']])(
    'has nearly all devices back within 20 s when %s',
    (name) => {
      const { recovery } = phase(name)
      expect(recovery?.devices).toBeGreaterThan(50)
      expect(recovery?.seconds['0.990']).toBeLessThan(20)
    },
  )

  it('names what is wrong with an option', async () => {
    const child = spawn(process.execPath, [MAIN, '--devices', 'many'], { stdio: ['ignore', 'ignore', 'pipe'] })
    const [errors, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect(errors).toContain('--devices many: use a number from 300 to 10000000')
    expect(status).toBe(1)
  })
})
