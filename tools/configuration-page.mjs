/**
 * Writes docs/configuration.md from the settings themselves, so that no setting, default or reason is missing there.
 * With `--check` it writes nothing and fails when the page is not what it would write. Needs a build of packages/service.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  apiSettings,
  flagNames,
  hbbrSettings,
  hbbsSettings,
  standaloneSettings,
} from '../packages/service/dist/index.js'
import { ROOT } from './workspaces.mjs'

const PAGE = join(ROOT, 'docs', 'configuration.md')

const PROGRAMS = { hbbs: hbbsSettings, hbbr: hbbrSettings, api: apiSettings, 'npm start': standaloneSettings }

const INTRODUCTION = `# Configuration

Every setting of hbbs, hbbr, api and \`npm start\`. This page is written by \`node tools/configuration-page.mjs\` from the
table that the programs read; don't edit it.

## Where settings come from

| Program | Highest first |
| --- | --- |
| hbbs | flag; file named by \`-c\`, \`--config\`; \`.env\` in the working directory; environment |
| hbbr, api | flag; \`.env\` in the working directory; environment |
| \`npm start\` | flag; \`.env\` in the data folder; environment |

\`.env\` and the file of \`--config\` are INI files, of which only the lines before the first \`[section]\` count:
\`NAME=value\`, comments begin with \`#\` or \`;\`. One \`.env\` serves all programs.

Every wrong setting is reported at the start, all at once, each with its remedy, and the program ends with 1.

## Names

Case, \`-\` and \`_\` make no difference in the name of a variable. Where one is set in several spellings, the order is
\`RELAY-SERVERS\`, \`RELAY_SERVERS\`, \`relay-servers\`, \`relay_servers\`, then the alphabetically first of all others; in a
file the last line. A variable whose name differs by one or two letters from one of these is warned about.

Every variable is a flag, too: \`RELAY_SERVERS\` is \`--relay-servers\`. A value follows its flag with a space or \`=\`.

An empty value hides what is set further down and means the default, except for \`KEY\`.

## Secrets

A secret can stand in a file that \`<NAME>_FILE\` names, for example \`KEY_FILE=/run/secrets/key\`. Secrets are
\`${secrets().join('`, `')}\`.
`

const page = [
  INTRODUCTION,
  ...topics().map(([topic, names]) => `## ${topic}\n\n${names.map(describe).join('\n')}`),
].join('\n')

if (process.argv.includes('--check')) {
  if (read(PAGE) !== page) {
    console.error('docs/configuration.md is not what the settings say: run `node tools/configuration-page.mjs`')
    process.exitCode = 1
  }
} else {
  writeFileSync(PAGE, page)
}

/** Where a variable is told of: one place, even where several programs have it. */
function topics() {
  const order = [
    'Several programs',
    'hbbs',
    'hbbr',
    'Access',
    'API',
    'npm start',
    'Several nodes',
    'Bandwidth',
    'Limits',
    'Logs, metrics and stopping',
    'Deprecated and unused',
  ]
  const byTopic = new Map(order.map((topic) => [topic, []]))
  for (const name of new Set(
    Object.values(PROGRAMS).flatMap((table) => Object.values(table).map(({ variable }) => variable)),
  )) {
    const users = usersOf(name)
    const topic = users[0].setting.topic ?? (users.length > 1 ? 'Several programs' : users[0].program)
    byTopic.get(topic).push(name)
  }
  return [...byTopic].filter(([, names]) => names.length > 0)
}

/** The programs that have a variable. */
function usersOf(name) {
  return Object.entries(PROGRAMS).flatMap(([program, table]) =>
    Object.values(table).flatMap((setting) => (setting.variable === name ? [{ program, setting }] : [])),
  )
}

function describe(name) {
  const users = usersOf(name)
  const isOne = new Set(users.map(({ setting }) => setting)).size === 1
  if (isOne) {
    const programs = users.map(({ program }) => program).join(', ')
    return `### ${name}\n\n${entry(programs, users[0].setting)}`
  }
  return `### ${name}\n\n${users.map(({ program, setting }) => entry(program, setting)).join('\n')}`
}

function entry(programs, setting) {
  const rows = [
    ['Default', defaultOf(setting)],
    ['Value', setting.schema.description],
    ['Why', setting.reason],
  ]
  const flags = flagNames(setting).split(', ').map(code).join(', ')
  return [
    `${programs} · ${flags}`,
    '',
    setting.meaning,
    '',
    ...rows.filter(([, text]) => text !== undefined).map(([label, text]) => `- ${label}: ${text}`),
    '',
  ].join('\n')
}

function defaultOf({ fallback, fallbackText }) {
  if (fallbackText !== undefined) return /[\s`]|^none$|^empty$/.test(fallbackText) ? fallbackText : code(fallbackText)
  return fallback === undefined ? 'none' : code(String(fallback))
}

function secrets() {
  const settings = Object.values(PROGRAMS).flatMap((table) => Object.values(table))
  return [...new Set(settings.filter(({ secret }) => secret).map(({ variable }) => variable))]
}

function code(text) {
  return `\`${text}\``
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}
