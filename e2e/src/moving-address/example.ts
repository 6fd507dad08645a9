import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

const PAGE = resolve(import.meta.dirname, '../../../docs/operating.md')

/**
 * The lines that docs/operating.md shows after these words, with other values in them.
 *
 * @throws where the page has changed
 */
export function exampleAfter(words: string, changes: Readonly<Record<string, string>>): string {
  const page = readFileSync(PAGE, 'utf8')
  const block = new RegExp(`${words}[^\`]*\`\`\`\\w*\\n([^\`]*)\`\`\``).exec(page)?.[1]
  if (block === undefined) throw new Error(`docs/operating.md shows nothing after '${words}'`)
  let text = block
  for (const [shown, wanted] of Object.entries(changes)) {
    if (!text.includes(shown)) throw new Error(`docs/operating.md has no ${shown} after '${words}'`)
    text = text.replaceAll(shown, wanted)
  }
  return text
}
