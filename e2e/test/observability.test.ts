import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { freePort } from '../src/site/free-ports.ts'
import { Site } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const FOLDER = join(import.meta.dirname, '../../observability')
const read = (file: string) => readFileSync(join(FOLDER, file), 'utf8')

/** A series: its name, and its labels with their values. */
type Labels = Readonly<Record<string, string>>

const labelsIn = (text: string): Labels =>
  Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]))

/** What Prometheus adds to every series. */
const OF_THE_SCRAPE = ['instance', 'job']

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[]
}

function queries(): (readonly [where: string, query: string])[] {
  const { panels } = JSON.parse(read('grafana/dashboards/tryst.json')) as Dashboard
  const ofPanels = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const))
  // An expression ends where a line of the rule begins that is indented as it is.
  const ofAlerts = read('alerts.yml')
    .split(/- alert: /)
    .slice(1)
    .map((rule) => [/^\w+/.exec(rule)?.[0] ?? '', /expr: ([\s\S]*?)\n {8}\w+:/.exec(rule)?.[1] ?? ''] as const)
  return [...ofPanels, ...ofAlerts]
}

describe('dashboards and alert rules', () => {
  let site: Site
  const series = new Map<string, Labels[]>()

  beforeAll(async () => {
    const ports = [await freePort(), await freePort(), await freePort()]
    const [hbbs, hbbr, api] = ports.map((port) => `127.0.0.1:${port}`) as [string, string, string]
    site = await Site.start({
      programs: ['hbbs', 'hbbr', 'api'],
      hbbs: { env: { METRICS_BIND: hbbs, PROBE: 'Y' } },
      hbbr: { env: { METRICS_BIND: hbbr } },
      api: { env: { METRICS_BIND: api } },
    })
    for (const bind of [hbbs, hbbr, api]) {
      const text = await waitUntil(
        'the metrics are there, those of the first probe among them',
        async () => {
          const found = await (await fetch(`http://${bind}/metrics`)).text()
          return (bind !== hbbs || found.includes('transport="websocket",step="relay"')) && found
        },
        60_000,
      )
      for (const [, name = '', labels = ''] of text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? \S+$/gm))
        series.set(name, [...(series.get(name) ?? []), labelsIn(labels)])
    }
  })
  afterAll(() => site?.close())

  it('ask for metrics that there are', () => {
    const unknown = queries().flatMap(([where, query]) =>
      [...query.matchAll(/\b(?:tryst|process|nodejs)_\w+/g)]
        .map(([name]) => name)
        // Where the state is not shared, the relay hands its part of the trace to nobody.
        .filter((name) => !series.has(name) && name !== 'tryst_relay_traced_sessions_total')
        .map((name) => `${where}: ${name}`),
    )
    expect(queries().length).toBeGreaterThan(30)
    expect(unknown).toEqual([])
  })

  it('ask for labels that they have, and for values that these can have', () => {
    const wrong = queries().flatMap(([where, query]) => {
      const selected = [...query.matchAll(/\b(tryst_\w+)\{(\w+)=~?"([^"]*)"\}/g)].flatMap(
        ([, name = '', label = '', values = '']) =>
          values
            .split('|')
            .filter((value) => !series.get(name)?.some((labels) => labels[label] === value))
            .map((value) => `${where}: ${name}{${label}="${value}"}`),
      )
      const grouped = [...query.matchAll(/by \((\w+)\) \(\w+\((tryst_\w+)/g)].filter(
        ([, label = '', name = '']) =>
          !OF_THE_SCRAPE.includes(label) && series.has(name) && !series.get(name)?.some((labels) => label in labels),
      )
      return [...selected, ...grouped.map(([text]) => `${where}: ${text}`)]
    })
    expect(wrong).toEqual([])
  })

  it('name the jobs that Prometheus is told to scrape', () => {
    const [, jobs = ''] = /up\{job=~"([^"]*)"\}/.exec(read('alerts.yml')) ?? []
    for (const job of jobs.split('|')) expect(read('prometheus.yml')).toContain(`job_name: ${job}\n`)
  })
})
