import type { PeerId } from './peer-identity.ts'

export const NO_ROW = -1

const SMALLEST_CAPACITY = 1024
/** Per row: one byte of length, then the id in ASCII. Stock clients draw ids of nine or ten digits. */
const SLOT_BYTES = 16
const LONGEST_SHORT_ID = SLOT_BYTES - 1

/** Lengths of a slot that stand for something else. */
const UNUSED = 0
const LONG = 255

/**
 * Numbers the rows of a table by the ids of devices; a row that becomes free is given to the next newcomer. A hash
 * table with chains in typed arrays, 24 bytes for each id: a Map with the ids as strings needs about 80, leaves as much
 * garbage behind whenever it grows, and is walked by every collection. Ids that are longer than 15 characters or not
 * ASCII are kept in a Map. Looking up allocates nothing.
 */
export class IdRows {
  /** Makes chains of ids that were chosen to collide as unlikely as others. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32)
  #slots = new Uint8Array(SMALLEST_CAPACITY * SLOT_BYTES)
  /** The first row of each chain, plus one: zero means none. A power of two. */
  #chains = new Int32Array(SMALLEST_CAPACITY)
  /** The next row in the chain, or in the list of free rows. */
  #next = new Int32Array(SMALLEST_CAPACITY)
  readonly #longRows = new Map<PeerId, number>()
  readonly #longIds = new Map<number, PeerId>()
  #firstFree = NO_ROW
  #end = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** All rows in use are below this. */
  get end(): number {
    return this.#end
  }

  /** NO_ROW when nobody has this id. */
  find(id: PeerId): number {
    const chain = this.#chainOf(id)
    return chain < 0 ? (this.#longRows.get(id) ?? NO_ROW) : this.#findInChain(chain, id)
  }

  /** Gives a row to an id that has none. */
  add(id: PeerId): number {
    const row = this.#takeRow()
    const chain = this.#chainOf(id)
    if (chain < 0) {
      this.#slots[row * SLOT_BYTES] = LONG
      this.#longRows.set(id, row)
      this.#longIds.set(row, id)
    } else {
      const slot = row * SLOT_BYTES
      this.#slots[slot] = id.length
      for (let at = 0; at < id.length; at++) this.#slots[slot + 1 + at] = id.charCodeAt(at)
      this.#link(chain, row)
    }
    this.#size++
    return row
  }

  /** The row that has become free, NO_ROW when nobody had this id. */
  remove(id: PeerId): number {
    const chain = this.#chainOf(id)
    const row = chain < 0 ? (this.#longRows.get(id) ?? NO_ROW) : this.#findInChain(chain, id)
    if (row === NO_ROW) return NO_ROW
    if (chain < 0) {
      this.#longRows.delete(id)
      this.#longIds.delete(row)
    } else {
      this.#unlink(chain, row)
    }
    this.#slots[row * SLOT_BYTES] = UNUSED
    this.#next[row] = this.#firstFree
    this.#firstFree = row
    this.#size--
    return row
  }

  /** Undefined when the row is free. */
  idAt(row: number): PeerId | undefined {
    const slot = row * SLOT_BYTES
    const length = this.#slots[slot] ?? UNUSED
    if (length === UNUSED) return undefined
    if (length === LONG) return this.#longIds.get(row)
    return String.fromCharCode(...this.#slots.subarray(slot + 1, slot + 1 + length)) as PeerId
  }

  isUsed(row: number): boolean {
    return this.#slots[row * SLOT_BYTES] !== UNUSED
  }

  /** Negative when the id does not fit into a slot. */
  #chainOf(id: PeerId): number {
    const { length } = id
    if (length > LONGEST_SHORT_ID || length === 0) return -1
    let hash = this.#seed
    for (let at = 0; at < length; at++) {
      const code = id.charCodeAt(at)
      if (code > 127) return -1
      hash = Math.imul(hash ^ code, 0x01000193)
      hash ^= hash >>> 13
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
    return (hash ^ (hash >>> 16)) & (this.#chains.length - 1)
  }

  #findInChain(chain: number, id: PeerId): number {
    const slots = this.#slots
    const { length } = id
    for (let row = (this.#chains[chain] ?? 0) - 1; row !== NO_ROW; row = this.#next[row] ?? NO_ROW) {
      const slot = row * SLOT_BYTES
      if (slots[slot] !== length) continue
      let at = 0
      while (at < length && slots[slot + 1 + at] === id.charCodeAt(at)) at++
      if (at === length) return row
    }
    return NO_ROW
  }

  #link(chain: number, row: number): void {
    this.#next[row] = (this.#chains[chain] ?? 0) - 1
    this.#chains[chain] = row + 1
  }

  #unlink(chain: number, row: number): void {
    const after = this.#next[row] ?? NO_ROW
    let before = (this.#chains[chain] ?? 0) - 1
    if (before === row) {
      this.#chains[chain] = after + 1
      return
    }
    while (this.#next[before] !== row) before = this.#next[before] ?? NO_ROW
    this.#next[before] = after
  }

  #takeRow(): number {
    const row = this.#firstFree
    if (row !== NO_ROW) {
      this.#firstFree = this.#next[row] ?? NO_ROW
      return row
    }
    if (this.#end === this.#next.length) this.#grow()
    return this.#end++
  }

  /** Only when no row is free, so that the list of free rows is empty. */
  #grow(): void {
    const capacity = this.#next.length * 2
    const slots = new Uint8Array(capacity * SLOT_BYTES)
    slots.set(this.#slots)
    this.#slots = slots
    this.#chains = new Int32Array(capacity)
    this.#next = new Int32Array(capacity)
    for (let row = 0; row < this.#end; row++) {
      if (slots[row * SLOT_BYTES] === LONG) continue
      const id = this.idAt(row)
      if (id !== undefined) this.#link(this.#chainOf(id), row)
    }
  }
}
