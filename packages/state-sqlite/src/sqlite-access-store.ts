import { createHash } from 'node:crypto'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { sourcePrefix } from '@tryst/protocol'
import {
  type AccessStore,
  type DeployToken,
  type DeviceClaim,
  type DeviceFingerprints,
  type Invite,
  type ListedDevice,
  type ListedState,
  type ListingReason,
  MAX_DECIDED_DEVICES,
  MAX_PENDING_DEVICES,
  MAX_PENDING_OF_ID,
  MAX_PENDING_OF_SOURCE,
  type PeerId,
  REFRESH_PENDING_MS,
  type Standing,
  StoreUnavailableError,
  type TokenUse,
} from '@tryst/rendezvous'
import { createAccessTables, hasAccessTables } from './access-tables.ts'
import { describeFailure, failure } from './database-failure.ts'

/** As for the devices themselves: a wait holds up everything else in this process. */
const BUSY_TIMEOUT_MS = 200

/** What operators say of devices, in tables of its own beside the devices' (docs/state.md, SQLite). */
export class SqliteAccessStore implements AccessStore {
  readonly #db: DatabaseSync
  readonly #path: string
  #hasTables = false
  #isClosed = false

  /** @param path of a database that is there. Throws DatabaseSync's error when it can't be opened */
  constructor(path: string) {
    this.#path = path
    this.#db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  }

  async standing(claim: DeviceClaim): Promise<Standing> {
    return this.#read('unknown', () => {
      const { id, uuid, key } = fingerprintsOf(claim)
      const listed = this.#get('SELECT state FROM tryst_listed_device WHERE id = ? AND uuid = ? AND key = ?', [
        ...[id, uuid, key],
      ])?.state as ListedState | undefined
      if (listed === 'approved' || listed === 'refused') return listed
      return this.#get('SELECT 1 FROM tryst_invite WHERE id = ?', [id]) ? 'invited' : (listed ?? 'unknown')
    })
  }

  async enlist(claim: DeviceClaim, why: ListingReason, nowMs: number): Promise<void> {
    const { id, ip } = claim
    const { uuid, key } = fingerprintsOf(claim)
    const source = sourcePrefix(ip)
    const known = await this.#read(undefined, () =>
      this.#get('SELECT state, last_seen_ms FROM tryst_listed_device WHERE id = ? AND uuid = ? AND key = ?', [
        ...[id, uuid, key],
      ]),
    )
    if (known && (known.state !== 'pending' || nowMs - Number(known.last_seen_ms) < REFRESH_PENDING_MS)) return
    this.#write(() => {
      this.#run(
        `INSERT INTO tryst_listed_device VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET why = excluded.why, ip = excluded.ip, source = excluded.source,
           last_seen_ms = excluded.last_seen_ms WHERE state = 'pending'`,
        [id, uuid, key, why, ip, source, nowMs, nowMs],
      )
      this.#keepNewest(MAX_PENDING_OF_ID, "state = 'pending' AND id = ?", id)
      this.#keepNewest(MAX_PENDING_OF_SOURCE, "state = 'pending' AND source = ?", source)
      this.#keepNewest(MAX_PENDING_DEVICES, "state = 'pending'")
    })
  }

  async settle(claim: DeviceClaim): Promise<void> {
    const { id, uuid, key } = fingerprintsOf(claim)
    this.#change(() => {
      this.#run("DELETE FROM tryst_listed_device WHERE id = ? AND (why = 'new-device' OR (uuid = ? AND key = ?))", [
        id,
        uuid,
        key,
      ])
      this.#run('DELETE FROM tryst_invite WHERE id = ?', [id])
    })
  }

  async listed(): Promise<readonly ListedDevice[]> {
    return this.#read([], () =>
      this.#all('SELECT * FROM tryst_listed_device ORDER BY last_seen_ms DESC').map((row) => ({
        id: row.id as PeerId,
        uuid: String(row.uuid),
        key: String(row.key),
        state: row.state as ListedState,
        why: row.why as ListingReason,
        ip: String(row.ip),
        firstSeenMs: Number(row.first_seen_ms),
        lastSeenMs: Number(row.last_seen_ms),
      })),
    )
  }

  async decide({ id, uuid, key }: DeviceFingerprints, verdict: 'approved' | 'refused'): Promise<boolean> {
    return this.#change(() => {
      const decided = this.#run('UPDATE tryst_listed_device SET state = ? WHERE id = ? AND uuid = ? AND key = ?', [
        ...[verdict, id, uuid, key],
      ])
      this.#keepNewest(MAX_DECIDED_DEVICES, "state <> 'pending'")
      return decided === 1
    })
  }

  async invite(id: PeerId, nowMs: number): Promise<void> {
    this.#write(() => this.#run('INSERT INTO tryst_invite VALUES (?, ?) ON CONFLICT DO NOTHING', [id, nowMs]))
  }

  async invites(): Promise<readonly Invite[]> {
    return this.#read([], () =>
      this.#all('SELECT id, created_ms FROM tryst_invite ORDER BY created_ms DESC').map(({ id, created_ms }) => ({
        id: id as PeerId,
        createdMs: Number(created_ms),
      })),
    )
  }

  async setNote(id: PeerId, note: string): Promise<void> {
    if (note === '') this.#change(() => this.#run('DELETE FROM tryst_note WHERE id = ?', [id]))
    else this.#write(() => this.#run('INSERT OR REPLACE INTO tryst_note VALUES (?, ?)', [id, note]))
  }

  async notes(): Promise<ReadonlyMap<PeerId, string>> {
    return this.#read(new Map(), () => {
      const rows = this.#all('SELECT id, note FROM tryst_note')
      return new Map(rows.map(({ id, note }) => [id as PeerId, String(note)]))
    })
  }

  async rename(from: PeerId, to: PeerId): Promise<void> {
    this.#change(() => this.#run('UPDATE OR REPLACE tryst_note SET id = ? WHERE id = ?', [to, from]))
  }

  async forget(id: PeerId): Promise<boolean> {
    return this.#change(() => {
      let forgotten = 0
      for (const table of ['tryst_listed_device', 'tryst_invite', 'tryst_note'])
        forgotten += this.#run(`DELETE FROM ${table} WHERE id = ?`, [id])
      return forgotten > 0
    })
  }

  async addToken({ name, hash, createdMs, expiresMs, usesLeft, used }: DeployToken): Promise<boolean> {
    return this.#write(
      () =>
        this.#run('INSERT INTO tryst_deploy_token VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING', [
          ...[name, hash, createdMs, expiresMs ?? null, usesLeft ?? null, used],
        ]) === 1,
    )
  }

  async tokens(): Promise<readonly DeployToken[]> {
    return this.#read([], () =>
      this.#all('SELECT * FROM tryst_deploy_token ORDER BY created_ms, name').map((row) => ({
        name: String(row.name),
        hash: String(row.hash),
        createdMs: Number(row.created_ms),
        expiresMs: row.expires_ms === null ? undefined : Number(row.expires_ms),
        usesLeft: row.uses_left === null ? undefined : Number(row.uses_left),
        used: Number(row.used),
      })),
    )
  }

  async revokeToken(name: string): Promise<boolean> {
    return this.#change(() => this.#run('DELETE FROM tryst_deploy_token WHERE name = ?', [name]) === 1)
  }

  async spendToken(hash: string, nowMs: number): Promise<TokenUse> {
    if (!this.#mayHaveTables()) return 'unknown'
    return this.#write((): TokenUse => {
      const token = this.#get('SELECT expires_ms, uses_left FROM tryst_deploy_token WHERE hash = ?', [hash])
      if (!token) return 'unknown'
      if (token.expires_ms !== null && Number(token.expires_ms) <= nowMs) return 'expired'
      if (token.uses_left !== null && Number(token.uses_left) <= 0) return 'used-up'
      this.#run('UPDATE tryst_deploy_token SET used = used + 1, uses_left = uses_left - 1 WHERE hash = ?', [hash])
      return 'accepted'
    })
  }

  async returnToken(hash: string): Promise<void> {
    this.#change(() =>
      this.#run('UPDATE tryst_deploy_token SET used = used - 1, uses_left = uses_left + 1 WHERE hash = ?', [hash]),
    )
  }

  /** May be called twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#db.close()
  }

  #keepNewest(most: number, condition: string, ...values: SQLInputValue[]): void {
    this.#run(
      `DELETE FROM tryst_listed_device WHERE (id, uuid, key) IN (
         SELECT id, uuid, key FROM tryst_listed_device WHERE ${condition}
         ORDER BY last_seen_ms DESC LIMIT -1 OFFSET ${most})`,
      values,
    )
  }

  #get(sql: string, values: SQLInputValue[]) {
    return this.#db.prepare(sql).get(...values)
  }

  #all(sql: string) {
    return this.#db.prepare(sql).all()
  }

  #run(sql: string, values: SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes)
  }

  /** Another process may have made them meanwhile. */
  #mayHaveTables(): boolean {
    return this.#guarded(() => {
      this.#hasTables ||= hasAccessTables(this.#db)
      return this.#hasTables
    })
  }

  #read<T>(nothing: T, action: () => T): T {
    return this.#mayHaveTables() ? this.#guarded(action) : nothing
  }

  /** Changes only what is there: without tables there is nothing. */
  #change<T>(action: () => T): T | false {
    return this.#mayHaveTables() ? this.#write(action) : false
  }

  #write<T>(action: () => T): T {
    return this.#guarded(() => {
      this.#db.exec('BEGIN IMMEDIATE')
      try {
        if (!this.#hasTables) createAccessTables(this.#db)
        const result = action()
        this.#db.exec('COMMIT')
        this.#hasTables = true
        return result
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        throw error
      }
    })
  }

  #guarded<T>(action: () => T): T {
    if (this.#isClosed) throw new StoreUnavailableError(failure('closed', this.#path).text)
    try {
      return action()
    } catch (error) {
      if (error instanceof StoreUnavailableError) throw error
      throw new StoreUnavailableError(describeFailure(error, this.#path).text, { cause: error })
    }
  }
}

function fingerprintsOf({ id, uuid, publicKey }: DeviceClaim): DeviceFingerprints {
  return { id, uuid: fingerprint(uuid), key: fingerprint(publicKey) }
}

const fingerprint = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32)
