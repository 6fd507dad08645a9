/**
 * A place in a line. Whoever stands in it knows it, so that leaving needs no look-up; and it points at nobody once it
 * is left.
 */
export class Place<T> {
  line: Line<T> | undefined
  before: Place<T> | undefined
  behind: Place<T> | undefined

  constructor(readonly one: T) {}

  /** May be called by whoever stands in no line. */
  leave(): void {
    this.line?.remove(this)
  }
}

/**
 * Some of a kind in the order in which they came. Where members come and go with every connection it costs the
 * collector less than a Set: a Set's table that has grown old and was replaced goes on holding all who stood in it, and
 * the table that replaced it, until the next full collection.
 */
export class Line<T> implements Iterable<T> {
  #first: Place<T> | undefined
  #last: Place<T> | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  get first(): T | undefined {
    return this.#first?.one
  }

  /** Puts a place at the end, and takes it out of the line that it is in. */
  append(place: Place<T>): void {
    place.leave()
    place.line = this
    place.before = this.#last
    if (this.#last) this.#last.behind = place
    else this.#first = place
    this.#last = place
    this.#length++
  }

  /** False when it is not in this line. */
  remove(place: Place<T>): boolean {
    if (place.line !== this) return false
    const { before, behind } = place
    if (before) before.behind = behind
    else this.#first = behind
    if (behind) behind.before = before
    else this.#last = before
    place.line = place.before = place.behind = undefined
    this.#length--
    return true
  }

  /** Whoever leaves while the line is walked must be the one at hand. */
  *[Symbol.iterator](): Generator<T, undefined> {
    for (let place = this.#first; place; ) {
      const { one, behind } = place
      yield one
      place = behind
    }
    return undefined
  }
}
