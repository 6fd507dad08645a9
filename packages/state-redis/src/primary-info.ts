/** What a Redis server says of itself (INFO). */
export interface PrimaryInfo {
  readonly version: string
  readonly isValkey: boolean
  readonly runId: string
  readonly replicationId: string
  readonly role: string
  readonly replicas: number
  readonly isAppendOnly: boolean | undefined
  readonly evictionPolicy: string | undefined
  /** 0: no limit. */
  readonly maxMemory: number
  readonly isCluster: boolean
}

export function readInfo(text: string): PrimaryInfo {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim())
  }
  const field = (name: string) => fields.get(name) ?? ''
  const aof = fields.get('aof_enabled')
  return {
    version: field('valkey_version') || field('redis_version'),
    isValkey: fields.has('valkey_version'),
    runId: field('run_id'),
    replicationId: field('master_replid'),
    role: field('role'),
    replicas: Number(field('connected_slaves')),
    isAppendOnly: aof === undefined ? undefined : aof === '1',
    evictionPolicy: fields.get('maxmemory_policy'),
    maxMemory: Number(field('maxmemory')),
    isCluster: field('cluster_enabled') === '1',
  }
}
