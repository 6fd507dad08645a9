/**
 * Compiles proto/*.proto to static codecs in src/generated (git-ignored); `--copy` puts them beside the built code.
 * Each schema becomes one ES module and its declarations.
 */
import { cp, mkdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import pbjs from 'protobufjs-cli/pbjs.js'
import pbts from 'protobufjs-cli/pbts.js'

const here = (path) => new URL(path, import.meta.url).pathname

if (process.argv.includes('--copy')) {
  await cp(here('src/generated'), here('dist/generated'), { recursive: true })
} else {
  await mkdir(here('src/generated'), { recursive: true })
  for (const schema of ['rendezvous', 'session']) {
    const code = here(`src/generated/${schema}.js`)
    const options = [
      '-t',
      'static-module',
      '-w',
      'esm',
      '--no-service',
      '--no-delimited',
      '--no-verify',
      '--no-typeurl',
      '--no-convert',
    ]
    await promisify(pbjs.main)([...options, '-o', code, here(`proto/${schema}.proto`)])
    await promisify(pbts.main)(['-o', here(`src/generated/${schema}.d.ts`), code])
  }
}
