/**
 * Fails when a document points at something that does not exist: a link between files of the repository, a heading in
 * such a link, or a section that a comment in code cites as "docs/<page>.md, <section>". And when docs/operating.md
 * leaves out a metric.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { ROOT } from './workspaces.mjs'

const read = (file) => readFileSync(join(ROOT, file), 'utf8')
const problems = []

const pages = globSync(['*.md', 'docs/*.md', '{packages,services}/*/*.md'], { cwd: ROOT, exclude: ['**/node_modules'] })
for (const page of pages) {
  for (const [, target] of read(page).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
    const [file, anchor] = target.split('#')
    const path = file === '' ? page : normalize(join(dirname(page), file))
    if (!existsSync(join(ROOT, path))) problems.push(`${page}: '${target}' does not exist`)
    else if (anchor && !headings(path).some((heading) => anchorOf(heading) === anchor)) {
      problems.push(`${page}: '${target}' names a heading that ${path} does not have`)
    }
  }
}

const sources = globSync('{packages,services,e2e,bench,tools}/**/*.{ts,mjs,cjs,proto}', {
  cwd: ROOT,
  exclude: ['**/node_modules', '**/dist', '**/generated'],
})
for (const source of sources) {
  // A citation may go on behind the comment sign of the next line.
  const text = read(source).replaceAll(/\n\s*(\/\/|\*)\s?/g, ' ')
  for (const [, page, section] of text.matchAll(/(docs\/[\w-]+\.md)(?:, ([^.:;,()*`]+))?/g)) {
    if (!existsSync(join(ROOT, page))) problems.push(`${source}: ${page} does not exist`)
    else if (section !== undefined && !headings(page).some((heading) => cites(section, heading))) {
      problems.push(`${source}: ${page} has no section '${section.trim()}'`)
    }
  }
}

const operating = read('docs/operating.md')
for (const source of sources.filter((path) => /^services\/[^/]+\/src\//.test(path))) {
  for (const [, metric] of read(source).matchAll(/'(tryst_\w+)'/g)) {
    if (!operating.includes(metric)) problems.push(`${source}: docs/operating.md says nothing of ${metric}`)
  }
}

for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1

function headings(page) {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading.trim())
}

/** A citation is the heading itself, with or without words of the sentence behind it. */
function cites(section, heading) {
  const plain = (text) =>
    text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
      .trim()
  return `${plain(section)} `.startsWith(`${plain(heading)} `)
}

/** The anchor that GitHub gives a heading. */
function anchorOf(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
