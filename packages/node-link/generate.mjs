/** Compiles proto/link.proto to a static codec in src/generated (git-ignored); `--copy` puts it beside the built code. */
import { cp, mkdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import pbjs from 'protobufjs-cli/pbjs.js'
import pbts from 'protobufjs-cli/pbts.js'

const here = (path) => new URL(path, import.meta.url).pathname
const OPTIONS =
  '-t static-module -w esm --no-service --no-delimited --no-verify --no-typeurl --no-convert --force-number'.split(' ')

if (process.argv.includes('--copy')) {
  await cp(here('src/generated'), here('dist/generated'), { recursive: true })
} else {
  await mkdir(here('src/generated'), { recursive: true })
  const code = here('src/generated/link.js')
  await promisify(pbjs.main)([...OPTIONS, '-o', code, here('proto/link.proto')])
  await promisify(pbts.main)(['-o', here('src/generated/link.d.ts'), code])
}
