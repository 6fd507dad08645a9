import type { Metrics } from '@tryst/service'
import type { Api } from './api.ts'

/** Shows what the API counts. */
export function describeMetrics(metrics: Metrics, api: Api): void {
  metrics.totals({
    name: 'tryst_api_answers_total',
    help: 'Answers of the API by kind',
    label: 'kind',
    read: () => api.counters.answers,
  })
  metrics.level({ name: 'tryst_api_connections', help: 'HTTP connections', read: () => api.connections })
}
