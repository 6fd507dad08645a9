import { sourcePrefix } from '@tryst/protocol'
import { NO_ROW } from './id-rows.ts'
import { NOT_IPV4, packIpv4 } from './packed-ipv4.ts'

const SMALLEST_CAPACITY = 1_024

/**
 * Which rows of a table have devices at one source address (IPv6: in one /64). The rows of a source are a list through
 * two columns of numbers; there is one entry for each source: about 8 bytes for a row and 60 for a source.
 */
export class SourceChains {
  readonly #heads = new Map<number | string, number>()
  #next = new Int32Array(SMALLEST_CAPACITY)
  #previous = new Int32Array(SMALLEST_CAPACITY)

  /** Sources with at least one row. */
  get size(): number {
    return this.#heads.size
  }

  add(row: number, ip: string): void {
    if (row >= this.#next.length) {
      this.#next = doubled(this.#next, row)
      this.#previous = doubled(this.#previous, row)
    }
    const source = sourceOf(ip)
    const head = this.#heads.get(source) ?? NO_ROW
    this.#next[row] = head
    this.#previous[row] = NO_ROW
    if (head !== NO_ROW) this.#previous[head] = row
    this.#heads.set(source, row)
  }

  /** @param ip as it was added with */
  remove(row: number, ip: string): void {
    const next = this.#next[row] ?? NO_ROW
    const previous = this.#previous[row] ?? NO_ROW
    if (next !== NO_ROW) this.#previous[next] = previous
    if (previous !== NO_ROW) this.#next[previous] = next
    else if (next !== NO_ROW) this.#heads.set(sourceOf(ip), next)
    else this.#heads.delete(sourceOf(ip))
  }

  /** Whether a row of this source fits. */
  some(ip: string, fits: (row: number) => boolean): boolean {
    for (let row = this.#heads.get(sourceOf(ip)) ?? NO_ROW; row !== NO_ROW; row = this.#next[row] ?? NO_ROW)
      if (fits(row)) return true
    return false
  }
}

/** An IPv4 address as a number, anything else as text. */
function sourceOf(ip: string): number | string {
  const packed = packIpv4(ip)
  return packed === NOT_IPV4 ? sourcePrefix(ip) : packed
}

function doubled(column: Int32Array, row: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(column.length * 2, row + 1))
  larger.set(column)
  return larger
}
