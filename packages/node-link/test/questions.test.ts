import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { DeviceAnswer, NodeId, PeerId } from '@tryst/rendezvous'
import { closeNodes, REAL_DEADLINE, SECRET_KEY, startNode, until } from './nodes.ts'

const id = (text: string) => text as PeerId
const bytes = (text: string) => new TextEncoder().encode(text)

afterEach(closeNodes)

describe('questions between nodes', () => {
  it('are answered by the node that they are put to', async () => {
    const seen: unknown[] = []
    const dismissed: PeerId[] = []
    const remembered = {
      ...{ guid: bytes('guid'), uuid: bytes('uuid'), publicKey: bytes('key'), ip: '192.0.2.7' },
      ...{ version: Date.now() * 1_000, createdMs: Date.now() },
    }
    const b = await startNode({
      answers: {
        push: (device, message, attempt) => {
          seen.push([device, Buffer.from(message).toString(), attempt])
          return device === '1' ? 'pushed' : device === '2' ? 'silent' : 'not-mine'
        },
        forget: (device, version) => seen.push([device, version]),
        holds: (ids) => ids.map((device) => (device === '7' ? '192.0.2.7' : undefined)),
        answer: async (answer) => {
          seen.push(answer)
          return true
        },
        ticketFor: (uuid) => (uuid === 'known' ? 'device' : undefined),
        recall: (device) => (device === '7' ? remembered : undefined),
        hasStore: () => false,
        hasDeviceInNetwork: (ip) => ip === '192.0.2.7',
        dismiss: (device) => void dismissed.push(device),
      },
    })
    const { links } = await startNode()
    expect(await links.push(b.target, id('1'), bytes('wake'))).toBe('pushed')
    expect(await links.push(b.target, id('2'), bytes(''), 0)).toBe('silent')
    expect(await links.push(b.target, id('3'), bytes(''), 2 ** 30 - 1)).toBe('not-mine')
    const version = Date.now() * 1_000 + 1
    await links.forget(b.target, id('é'), version)
    expect(seen.splice(0)).toEqual([
      ['1', 'wake', undefined],
      ['2', '', 0],
      ['3', '', 2 ** 30 - 1],
      ['é', version],
    ])

    expect(await links.holds(b.target, [id('6'), id('7')])).toEqual([undefined, '192.0.2.7'])
    const answer: DeviceAnswer = {
      kind: 'local-addr',
      handle: bytes('handle'),
      id: '5',
      message: bytes('message'),
      from: { ip: '2001:db8::1', port: 65_535 },
    }
    expect(await links.answer(b.target, answer)).toBe(true)
    const [arrived] = seen as DeviceAnswer[]
    expect({ ...arrived, handle: [...(arrived?.handle ?? [])], message: [...(arrived?.message ?? [])] }).toEqual({
      ...answer,
      handle: [...answer.handle],
      message: [...answer.message],
    })
    expect(await links.ticketFor(b.target, 'known')).toBe('device')
    expect(await links.ticketFor(b.target, 'unknown')).toBeUndefined()
    expect(await links.recall(b.target, id('7'))).toEqual(remembered)
    expect(await links.recall(b.target, id('8'))).toBeUndefined()
    expect(await links.hasStore(b.target)).toBe(false)
    expect(await links.hasDeviceInNetwork(b.target, '192.0.2.7')).toBe(true)
    expect(await links.hasDeviceInNetwork(b.target, '192.0.2.8')).toBe(false)
    await links.dismiss(b.target, id('9'))
    expect(dismissed).toEqual(['9'])
  })

  it('go over one connection, whoever opened it', async () => {
    const [a, b] = [await startNode(), await startNode()]
    await a.links.hasStore(b.target)
    await Promise.all(Array.from({ length: 50 }, () => b.links.hasStore(a.target)))
    expect(a.log).toEqual([expect.stringMatching(/^opened .* dialled$/)])
    expect(b.log).toEqual([expect.stringMatching(/^opened .* accepted$/)])
  })

  it('are answered when two nodes dial each other at once, without dialling again', async () => {
    for (let round = 0; round < 20; round++) {
      const [a, b] = [await startNode(), await startNode()]
      const both = [a.links.hasStore(b.target), b.links.hasStore(a.target)]
      expect(await Promise.all(both)).toEqual([true, true])
      for (let more = 0; more < 10; more++) {
        expect(await Promise.all([a.links.hasStore(b.target), b.links.hasStore(a.target)])).toEqual([true, true])
      }
      expect([...a.log, ...b.log].filter((line) => !line.startsWith('opened'))).toEqual([])
      expect(a.log.length).toBeLessThanOrEqual(2)
      closeNodes()
    }
  })

  it('are asked about many ids in few messages', async () => {
    const sizes: number[] = []
    const b = await startNode({
      answers: {
        holds: (ids) => {
          sizes.push(ids.length)
          return ids.map((device) =>
            Number(device.slice(100)) % 2 ? `192.0.2.${Number(device.slice(100)) % 250}` : undefined,
          )
        },
      },
    })
    const { links } = await startNode()
    const ids = Array.from({ length: 1_234 }, (_, n) => id(`${'x'.repeat(100)}${n}`))
    const ips = await links.holds(b.target, ids)
    expect(ips).toEqual(ids.map((_, n) => (n % 2 ? `192.0.2.${n % 250}` : undefined)))
    expect(sizes).toEqual([500, 500, 234])
  })

  it('are given up at the deadline, and the link lives on while the node does', async () => {
    const b = await startNode({ answers: { answer: () => new Promise(() => undefined) } })
    const { links, log } = await startNode({ limits: REAL_DEADLINE })
    await links.hasStore(b.target)
    const answer: DeviceAnswer = {
      kind: 'local-addr',
      handle: bytes(''),
      id: '',
      message: bytes(''),
      from: { ip: '', port: 0 },
    }
    const startMs = performance.now()
    await expect(links.answer(b.target, answer)).rejects.toMatchObject({
      name: 'NodeUnreachableError',
      reason: 'deadline',
    })
    const tookMs = performance.now() - startMs
    expect(tookMs).toBeGreaterThan(190)
    expect(tookMs).toBeLessThan(300)
    // The silence after a question without an answer is longer than the time until a link counts as dead.
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(await links.hasStore(b.target)).toBe(true)
    expect(log).toEqual([expect.stringMatching(/^opened/)])
  })

  it('fail when the node cannot find out', async () => {
    const fails = () => {
      throw new Error('no store')
    }
    const b = await startNode({ answers: { push: fails, answer: () => Promise.reject(new Error('no store')) } })
    const { links } = await startNode()
    await expect(links.push(b.target, id('1'), bytes(''))).rejects.toMatchObject({ reason: 'failed' })
    const answer: DeviceAnswer = {
      kind: 'local-addr',
      handle: bytes(''),
      id: '',
      message: bytes(''),
      from: { ip: '', port: 0 },
    }
    await expect(links.answer(b.target, answer)).rejects.toMatchObject({ reason: 'failed' })
  })

  it('are bounded in number, and rejected at once beyond', async () => {
    const b = await startNode()
    const { links } = await startNode()
    await links.hasStore(b.target)
    const startMs = performance.now()
    let rejectedAtOnceMs = 0
    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, () =>
        links.hasStore(b.target).then(
          () => 'answered',
          (error: { reason: string }) => {
            rejectedAtOnceMs = performance.now() - startMs
            return error.reason
          },
        ),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === 'answered')).toHaveLength(4_096)
    expect(outcomes.filter((outcome) => outcome === 'queue-full')).toHaveLength(5_904)
    expect(rejectedAtOnceMs).toBeLessThan(1_000)
    expect(await links.hasStore(b.target)).toBe(true)
  })

  it('are bounded in bytes, and one alone in length', async () => {
    const b = await startNode({ answers: { push: () => 'pushed' } })
    const { links } = await startNode({ limits: { maxQueuedBytes: 1_000_000 } })
    const big = new Uint8Array(200_000)
    for (const isLinked of [false, true]) {
      if (isLinked) await links.hasStore(b.target)
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, () =>
          links.push(b.target, id('1'), big).catch((error: { reason: string }) => error.reason),
        ),
      )
      expect(outcomes.filter((outcome) => outcome === 'pushed')).toHaveLength(4)
      expect(outcomes.filter((outcome) => outcome === 'queue-full')).toHaveLength(6)
    }
    await expect(links.push(b.target, id('1'), new Uint8Array(300_000))).rejects.toMatchObject({ reason: 'too-large' })
  })

  it('to oneself are refused, under whatever address', async () => {
    const a = await startNode()
    await expect(a.links.hasStore(a.target)).rejects.toMatchObject({ reason: 'myself' })
    const elsewhere = { incarnation: 'another' as NodeId, address: a.target.address }
    await expect(a.links.hasStore(elsewhere)).rejects.toMatchObject({ reason: 'myself' })
    expect(a.log).toEqual([expect.stringMatching(/^refused 127.0.0.1 myself/), 'unreachable myself'])
  })

  it('reject when the links are closed, as often as that is done', async () => {
    const b = await startNode({ answers: { answer: () => new Promise(() => undefined) } })
    const { links } = await startNode()
    await links.hasStore(b.target)
    const answer: DeviceAnswer = {
      kind: 'local-addr',
      handle: bytes(''),
      id: '',
      message: bytes(''),
      from: { ip: '', port: 0 },
    }
    const asked = links.answer(b.target, answer)
    await new Promise((resolve) => setImmediate(resolve))
    links.close()
    links.close()
    await expect(asked).rejects.toMatchObject({ name: 'NodeUnreachableError' })
    await expect(links.hasStore(b.target)).rejects.toMatchObject({ reason: 'closed' })
  })
})

describe('a node that dies', () => {
  const children: ChildProcess[] = []
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  async function startProcess(incarnation: string, port: number) {
    const child = spawn(
      process.execPath,
      [new URL('silent-node.mjs', import.meta.url).pathname, incarnation, String(port)],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, LINK_TEST_KEY: Buffer.from(SECRET_KEY).toString('base64') },
      },
    )
    children.push(child)
    const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
    return { child, target: { incarnation: incarnation as NodeId, address: line.toString().trim() } }
  }
  const answer: DeviceAnswer = {
    kind: 'local-addr',
    handle: bytes(''),
    id: '',
    message: bytes(''),
    from: { ip: '', port: 0 },
  }

  it('rejects the questions on their way within the deadline, and is dialled again when it is back', async () => {
    const { links } = await startNode()
    const old = await startProcess('old', 0)
    expect(await links.hasStore(old.target)).toBe(true)
    const asked = links.answer(old.target, answer)
    await new Promise((resolve) => setImmediate(resolve))
    const startMs = performance.now()
    old.child.kill('SIGKILL')
    await expect(asked).rejects.toMatchObject({ reason: 'link-lost' })
    expect(performance.now() - startMs).toBeLessThan(200)

    const port = Number(old.target.address.split(':')[1])
    const back = await startProcess('new', port)
    expect(await links.hasStore(back.target)).toBe(true)
    // The one that is gone is not mistaken for the one that has its address.
    let reason = 'backing-off'
    while (reason === 'backing-off') {
      reason = await links.hasStore(old.target).then(
        () => 'answered',
        (error: { reason: string }) => error.reason,
      )
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(reason).toBe('other-incarnation')
  })

  it('is not dialled at every question while it is away', async () => {
    const { links, log } = await startNode()
    const old = await startProcess('away', 0)
    old.child.kill('SIGKILL')
    await once(old.child, 'exit')
    const reasons: string[] = []
    for (let asked = 0; asked < 50; asked++) {
      await links.hasStore(old.target).catch((error: { reason: string }) => reasons.push(error.reason))
    }
    expect(reasons[0]).toBe('connect-failed')
    expect(reasons.filter((reason) => reason === 'backing-off').length).toBeGreaterThan(40)
    expect(log).toEqual(['unreachable connect-failed'])

    const back = await startProcess('away', Number(old.target.address.split(':')[1]))
    let isBack = false
    void (async () => {
      while (!isBack) {
        isBack = await links.hasStore(back.target).catch(() => false)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    })()
    await until('it is reached again', () => isBack)
  })

  it('is noticed when it says nothing, without an end of its connection', async () => {
    const { links, log } = await startNode({ limits: REAL_DEADLINE })
    const stopped = await startProcess('stopped', 0)
    await links.hasStore(stopped.target)
    stopped.child.kill('SIGSTOP')
    const startMs = performance.now()
    await expect(links.hasStore(stopped.target)).rejects.toMatchObject({ reason: 'deadline' })
    await until('the link is given up', () => log.some((line) => line.endsWith('silent')), 3_000)
    expect(performance.now() - startMs).toBeLessThan(2_000)
  })

  it('in good order answers what it can, and its process ends by itself', async () => {
    const { links, log } = await startNode()
    const ending = await startProcess('ending', 0)
    await links.hasStore(ending.target)
    ending.child.stdin?.end()
    const [code] = (await once(ending.child, 'exit')) as [number]
    expect(code).toBe(0)
    await until('the end of the link is noticed', () => log.some((line) => line.endsWith('ended')))
  })
})

describe('a question over loopback', () => {
  it('takes a small part of the 3 ms that a punch across nodes may take longer', async () => {
    const { links } = await startNode()
    const b = await startNode({ answers: { push: () => 'pushed' } })
    const message = new Uint8Array(120)
    const tookMs: number[] = []
    for (let n = 0; n < 1_000; n++) {
      const startMs = performance.now()
      await links.push(b.target, id('123456789'), message)
      tookMs.push(performance.now() - startMs)
    }
    tookMs.sort((one, other) => one - other)
    expect(tookMs[500]).toBeLessThan(2)
  })
})
