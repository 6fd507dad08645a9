import type { Link } from './link.ts'

/** The links of one peer that are not gone yet, so that closing the peer can leave none behind. */
export class LinkRegistry {
  readonly #open = new Set<Link>()

  add<L extends Link>(link: L): L {
    this.#open.add(link)
    void link.closed.then(() => this.#open.delete(link))
    return link
  }

  /** Resolves when every socket is gone. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.#open].map((link) => link.close()))
  }
}
